// Providers written as a table: what each export does, step by step. They note what they were called with.

import type { HostFunction } from "../../src/index.ts";
import { assemble } from "../wasm/corpus.ts";

/** What an export does: output a text (but "TRAP" and "SPIN" do what they say), or fail. */
export type Does =
  | string
  | { readonly error: string; readonly code?: number }
  | { readonly code: number }
  /** Calls functions of the host one after the other, each with a text; then outputs the last one's result, or `output`. */
  | { readonly calls: readonly (readonly [fn: HostName, input: string])[]; readonly output?: string };

type HostName = "qmt_http_request" | "qmt_http_stream_open" | "qmt_http_stream_next" | "qmt_http_stream_close" | "qmt_yield_chunk" | "qmt_log";

const RESULTS: Readonly<Record<HostName, "(result i64)" | "">> = {
  qmt_http_request: "(result i64)",
  qmt_http_stream_open: "(result i64)",
  qmt_http_stream_next: "(result i64)",
  qmt_http_stream_close: "",
  qmt_yield_chunk: "",
  qmt_log: "",
};

/** What every provider has. */
export const METADATA: Readonly<Record<string, Does>> = {
  name: "texts",
  init_logging: "",
  config_schema: "{}",
  from_config: "null",
};

/** Calls that were made: name of the export and input, in order; and `= ` and the name of a host function with its result. */
export type Seen = (readonly [fn: string, input: string])[];

/** A module, and a host function which has to be given to it, that notes calls. */
export interface TextProvider {
  readonly wasm: Uint8Array<ArrayBuffer>;
  readonly seen: Seen;
  readonly hostFunctions: { readonly "extism:host/user": { readonly see: HostFunction } };
  /** The inputs of an export. */
  readonly inputs: (fn: string) => string[];
}

/** Assembles a provider. The traps and spins come after the call was noted. */
export async function textProvider(exports: Readonly<Record<string, Does>>): Promise<TextProvider> {
  const data: string[] = [];
  let end = 8;
  const place = (text: string): string => {
    const bytes = new TextEncoder().encode(text);
    const at = end;
    data.push(`(data (i32.const ${at}) "${Array.from(bytes, (byte) => `\\${byte.toString(16).padStart(2, "0")}`).join("")}")`);
    end += bytes.length;
    return `(i64.const ${at}) (i64.const ${bytes.length})`;
  };
  const functions = Object.entries(exports).map(
    ([name, does]) => `(func (export "${name}") (result i32) (local $got i64)
      (call $see (call $block ${place(name)}) (call $input))
      ${codeOf(does, place)})`,
  );
  const wasm = await assemble(`(module
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "length" (func $length (param i64) (result i64)))
    (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
    (import "extism:host/env" "input_length" (func $input_length (result i64)))
    (import "extism:host/env" "input_load_u8" (func $load_input (param i64) (result i32)))
    (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
    (import "extism:host/env" "error_set" (func $error_set (param i64)))
    (import "extism:host/user" "see" (func $see (param i64 i64)))
    ${Object.entries(RESULTS)
      .map(([name, result]) => `(import "extism:host/user" "${name}" (func $${name} (param i64) ${result}))`)
      .join("\n")}
    (memory 4)
    ${data.join("\n")}
    (func $block (param $at i64) (param $size i64) (result i64) (local $block i64) (local $index i64)
      (local.set $block (call $alloc (local.get $size)))
      (block $end (loop $next
        (br_if $end (i64.ge_u (local.get $index) (local.get $size)))
        (call $store (i64.add (local.get $block) (local.get $index))
          (i32.load8_u (i32.wrap_i64 (i64.add (local.get $at) (local.get $index)))))
        (local.set $index (i64.add (local.get $index) (i64.const 1)))
        (br $next)))
      (local.get $block))
    (func $input (result i64) (local $block i64) (local $index i64) (local $size i64)
      (local.set $size (call $input_length))
      (local.set $block (call $alloc (local.get $size)))
      (block $end (loop $next
        (br_if $end (i64.ge_u (local.get $index) (local.get $size)))
        (call $store (i64.add (local.get $block) (local.get $index)) (call $load_input (local.get $index)))
        (local.set $index (i64.add (local.get $index) (i64.const 1)))
        (br $next)))
      (local.get $block))
    ${functions.join("\n")})`);
  const seen: Seen = [];
  return {
    wasm,
    seen,
    inputs: (fn) => seen.filter(([name]) => name === fn).map(([, input]) => input),
    hostFunctions: {
      "extism:host/user": {
        see: (context, name: bigint, input: bigint) => {
          seen.push([context.readText(name), context.readText(input)]);
        },
      },
    },
  };
}

function codeOf(does: Does, place: (text: string) => string): string {
  if (does === "TRAP") return "unreachable";
  if (does === "SPIN") return "(loop $for_ever (br $for_ever)) unreachable";
  if (typeof does === "string") return `(call $output_set (call $block ${place(does)}) (i64.const ${Buffer.byteLength(does)})) (i32.const 0)`;
  if ("error" in does) return `(call $error_set (call $block ${place(does.error)})) (i32.const ${does.code ?? 1})`;
  if ("code" in does) return `(i32.const ${does.code})`;
  const calls = does.calls.map(([fn, input]) => {
    const call = `(call $${fn} (call $block ${place(input)}))`;
    return RESULTS[fn] === "" ? call : `(local.set $got ${call}) (call $see (call $block ${place(`= ${fn}`)}) (local.get $got))`;
  });
  const output =
    does.output === undefined
      ? "(call $output_set (local.get $got) (call $length (local.get $got)))"
      : `(call $output_set (call $block ${place(does.output)}) (i64.const ${Buffer.byteLength(does.output)}))`;
  return `${calls.join("\n")} ${output} (i32.const 0)`;
}

/** The bytes of a text as a JSON array of numbers. */
export function numbers(text: string): string {
  return JSON.stringify([...new TextEncoder().encode(text)]);
}

/** A request box for a URL. */
export function box(uri: string, body = "", method = body === "" ? "GET" : "POST"): string {
  return `{"req":{"head":{"method":"${method}","uri":"${uri}","headers":{"x-from":"plugin"},"version":"HTTP/1.1"},"body":${numbers(body)}}}`;
}

/** The exports of a provider of generation 3 that asks a server. */
export function third(uri: string, rest: Readonly<Record<string, Does>> = {}): Readonly<Record<string, Does>> {
  return {
    ...METADATA,
    chat_request: box(`${uri}/chat`, "ask"),
    chat_stream_request: box(`${uri}/stream`, "ask"),
    parse_chat_response: `{"text":"hello","tool_calls":null,"thinking":null,"usage":null,"finish_reason":"Stop"}`,
    list_models_request: box(`${uri}/models`),
    parse_list_models_response: `["a","b"]`,
    ...rest,
  };
}

/** The four parser functions. */
export function parser(parse: Does, finish: Does = `[{"chunk":{"done":{"finish_reason":"Stop"}},"usage":null}]`): Readonly<Record<string, Does>> {
  return { chat_stream_parser_start: "1", chat_stream_parser_parse: parse, chat_stream_parser_finish: finish, chat_stream_parser_close: "" };
}
