// Plugins for the tests of hooks, assembled on the spot: each export does what is said of it.

import { assembleText } from "../wasm/assemble.ts";

/** What an export does. */
export type Does =
  /** Outputs this text. */
  | string
  /** Outputs its whole input between two texts. */
  | { readonly before: string; readonly after: string }
  /** Reads every byte of its input, which costs fuel for each, and then outputs this text. */
  | { readonly scans: string }
  /** Calls the host function `pause`, which may be made to wait, and then outputs this text. */
  | { readonly pauses: string }
  /** Sets an error message. */
  | { readonly error: string };

/** Traps. */
export const TRAP: Does = "trap!";
/** Never returns. */
export const SPIN: Does = "spin!";

/** Module and name of the function that {@link Does} `pauses` calls. */
export const PAUSE_MODULE = "extism:host/user";

/** A module with these exports. */
export function guest(exports: Readonly<Record<string, Does>>): Promise<Uint8Array<ArrayBuffer>> {
  const data: string[] = [];
  let end = 16;
  const place = (text: string): { readonly at: number; readonly length: number } => {
    const bytes = Buffer.from(text);
    const at = end;
    end += bytes.length;
    data.push(`(data (i32.const ${at}) "${Array.from(bytes, (byte) => `\\${byte.toString(16).padStart(2, "0")}`).join("")}")`);
    return { at, length: bytes.length };
  };
  const output = (text: string): string => {
    const { at, length } = place(text);
    return `(call $give (i32.const ${at}) (i32.const ${length}))`;
  };
  const body = (does: Does): string => {
    if (does === TRAP) return "unreachable";
    if (does === SPIN) return "(loop (br 0))";
    if (typeof does === "string") return output(does);
    if ("scans" in does) return `(call $scan) ${output(does.scans)}`;
    if ("pauses" in does) return `(call $pause) ${output(does.pauses)}`;
    if ("error" in does) {
      const { at, length } = place(does.error);
      return `(call $error (call $block (i32.const ${at}) (i32.const ${length})))`;
    }
    const before = place(does.before);
    const after = place(does.after);
    return `(call $wrap (i32.const ${before.at}) (i32.const ${before.length}) (i32.const ${after.at}) (i32.const ${after.length}))`;
  };
  const functions = Object.entries(exports).map(([name, does]) => `(func (export "${name}") ${body(does)})`);
  const pauses = Object.values(exports).some((does) => typeof does === "object" && "pauses" in does);
  return assembleText("hooks", TEMPLATE.replace("(; pause ;)", pauses ? PAUSE : "").replace("(; body ;)", [...data, ...functions].join("\n")));
}

const PAUSE = `(import "${PAUSE_MODULE}" "pause" (func $pause))`;

const TEMPLATE = `(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "input_load_u8" (func $input (param i64) (result i32)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))
  (import "extism:host/env" "error_set" (func $error (param i64)))
  (; pause ;)
  (memory 2)
  (func $copy (param $to i64) (param $from i32) (param $length i32) (local $i i32)
    (block (loop
      (br_if 1 (i32.ge_u (local.get $i) (local.get $length)))
      (call $store (i64.add (local.get $to) (i64.extend_i32_u (local.get $i))) (i32.load8_u (i32.add (local.get $from) (local.get $i))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br 0))))
  (func $block (param $from i32) (param $length i32) (result i64) (local $at i64)
    (if (i32.eqz (local.get $length)) (then (return (i64.const 0))))
    (call $copy (local.tee $at (call $alloc (i64.extend_i32_u (local.get $length)))) (local.get $from) (local.get $length))
    (local.get $at))
  (func $give (param $from i32) (param $length i32)
    (call $output (call $block (local.get $from) (local.get $length)) (i64.extend_i32_u (local.get $length))))
  (func $scan (local $i i64)
    (block (loop
      (br_if 1 (i64.ge_u (local.get $i) (call $input_length)))
      (drop (call $input (local.get $i)))
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br 0))))
  (func $wrap (param $before i32) (param $head i32) (param $after i32) (param $tail i32) (local $at i64) (local $i i64) (local $all i64)
    (local.set $all (i64.add (i64.add (i64.extend_i32_u (local.get $head)) (call $input_length)) (i64.extend_i32_u (local.get $tail))))
    (local.set $at (call $alloc (local.get $all)))
    (call $copy (local.get $at) (local.get $before) (local.get $head))
    (block (loop
      (br_if 1 (i64.ge_u (local.get $i) (call $input_length)))
      (call $store (i64.add (i64.add (local.get $at) (i64.extend_i32_u (local.get $head))) (local.get $i)) (call $input (local.get $i)))
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br 0)))
    (call $copy
      (i64.add (local.get $at) (i64.add (i64.extend_i32_u (local.get $head)) (call $input_length)))
      (local.get $after) (local.get $tail))
    (call $output (local.get $at) (local.get $all)))
  (; body ;))`;

/** The text of an action. */
export const action = (name: string, more: Readonly<Record<string, unknown>> = {}): string => JSON.stringify({ action: name, ...more });

/** Answers with the message that it got: `{"action": "answer", "value": <message>}`. */
export const ECHO: Does = { before: '{"action":"answer","value":', after: "}" };
/** Replaces the value by the message that it got. */
export const NEST: Does = { before: '{"action":"replace","value":', after: "}" };
