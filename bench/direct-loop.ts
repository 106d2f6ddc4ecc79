// The loop of an Extism guest without Extism: each load of the input becomes a load from the guest's own memory.

import loadWabt from "wabt";

import type { Contender } from "./contenders.ts";

const PAGE = 65_536;
/** Pages added behind the guest's own: the input, then the output. */
const INPUT_PAGES = 1;
const OUTPUT_PAGES = 1;

/** What stands in place of a call of an imported function that loops use. */
const INLINE = (input: number): Readonly<Record<string, string>> => ({
  input_length: "global.get $input_length",
  input_load_u64: `i32.wrap_i64 i64.load offset=${input}`,
  input_load_u8: `i32.wrap_i64 i32.load8_u offset=${input}`,
});

/** Bodies of the others, which a call uses once or a few times for its output. */
const BODIES = (output: number): Readonly<Record<string, string>> => ({
  alloc: `i64.const ${output}`,
  store_u64: "local.get 0 i32.wrap_i64 local.get 1 i64.store",
  store_u8: "local.get 0 i32.wrap_i64 local.get 1 i32.store8",
  output_set: "",
  error_set: "unreachable",
});

/** Rewrites a guest's text; nothing but its imports and the size of its memory changes. */
function withoutHost(text: string): { text: string; inputAt: number; outputAt: number } {
  const memory = /\(memory \(;0;\) (\d+)/.exec(text);
  if (memory === null) throw new Error("the guest has no memory of its own");
  const pages = Number(memory[1]);
  const inputAt = pages * PAGE;
  const outputAt = inputAt + INPUT_PAGES * PAGE;
  const inline = INLINE(inputAt);
  const bodies = BODIES(outputAt);
  const names: string[] = [];
  let changed = text.replaceAll(/\(import "extism:host\/env" "(\w+)" \(func \(;\d+;\) (\(type \d+\))\)\)/g, (_, name: string, type: string) => {
    names.push(name);
    return `(func ${type} ${inline[name]?.replace("i32.wrap_i64", "local.get 0 i32.wrap_i64") ?? bodies[name] ?? "unreachable"})`;
  });
  changed = changed.replaceAll(/\bcall (\d+)$/gm, (call, index: string) => inline[names[Number(index)] ?? ""] ?? call);
  changed = changed.replace(memory[0], `(memory (;0;) ${pages + INPUT_PAGES + OUTPUT_PAGES}`);
  changed = `${changed.trimEnd().slice(0, -1)} (global $input_length (export "input_length") (mut i64) (i64.const 0)))`;
  return { text: changed, inputAt, outputAt };
}

/** A contender that runs `fn` uninstrumented on input that lies in its memory already. */
export async function direct(bytes: Uint8Array<ArrayBuffer>, fn: string, input: Uint8Array, outputLength: number): Promise<Contender> {
  if (input.length > INPUT_PAGES * PAGE) throw new RangeError("the input does not fit the pages added for it");
  const wabt = await loadWabt();
  const { text, inputAt, outputAt } = withoutHost(wabt.readWasm(bytes, {}).toText({}));
  const { buffer } = wabt.parseWat("direct.wat", text).toBinary({});
  const { instance } = await WebAssembly.instantiate(new Uint8Array(buffer));
  const run = instance.exports[fn] as () => number;
  const memory = new Uint8Array((instance.exports["memory"] as WebAssembly.Memory).buffer);
  memory.set(input, inputAt);
  (instance.exports["input_length"] as WebAssembly.Global<"i64">).value = BigInt(input.length);
  return {
    name: "bare loop",
    answer: async () => {
      run();
      return memory.slice(outputAt, outputAt + outputLength);
    },
    run: (times) => {
      let failures = 0;
      for (let left = times; left > 0; left--) failures += run();
      if (failures !== 0) throw new Error("the bare loop failed");
    },
    close: async () => {},
  };
}
