// A plugin of two modules: the main one imports a function of the other, and both are held to the same limits.

import loadWabt from "wabt";

import { isMortiseError, loadPlugin } from "mortise";

const wabt = await loadWabt();

function assemble(text: string): Uint8Array {
  const module = wabt.parseWat("module.wat", text);
  const { buffer } = module.toBinary({ write_debug_names: true });
  module.destroy();
  return buffer;
}

// Makes capital letters of the small ones in a block.
const letters = assemble(`(module
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "load_u8" (func $load (param i64) (result i32)))
  (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
  (func (export "capitalise") (param $at i64) (local $end i64) (local $letter i32)
    (local.set $end (i64.add (local.get $at) (call $length (local.get $at))))
    (block $done
      (loop $next
        (br_if $done (i64.ge_u (local.get $at) (local.get $end)))
        (local.set $letter (call $load (local.get $at)))
        (if (i32.lt_u (i32.sub (local.get $letter) (i32.const 97)) (i32.const 26))
          (then (call $store (local.get $at) (i32.sub (local.get $letter) (i32.const 32)))))
        (local.set $at (i64.add (local.get $at) (i64.const 1)))
        (br $next))))
  (func $spin (export "spin") (loop $again (br $again))))`);

// Copies its input into a block, lets the other module work on it, and outputs it.
const main = assemble(`(module
  (import "letters" "capitalise" (func $capitalise (param i64)))
  (import "letters" "spin" (func $spin))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "input_load_u8" (func $input (param i64) (result i32)))
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))
  (func (export "shout") (local $block i64) (local $index i64)
    (local.set $block (call $alloc (call $input_length)))
    (block $done
      (loop $next
        (br_if $done (i64.ge_u (local.get $index) (call $input_length)))
        (call $store (i64.add (local.get $block) (local.get $index)) (call $input (local.get $index)))
        (local.set $index (i64.add (local.get $index) (i64.const 1)))
        (br $next)))
    (call $capitalise (local.get $block))
    (call $output (local.get $block) (call $input_length)))
  (func $wait_for_ever (export "wait_for_ever") (call $spin)))`);

await using plugin = await loadPlugin(
  {
    wasm: [
      { name: "letters", data: letters },
      { name: "main", data: main },
    ],
  },
  { name: "shouting", limits: { timeoutMs: 250 } },
);
console.log("exports:", plugin.exports.join(", "));
console.log((await plugin.call("shout", "two modules, one plugin")).text());

// The deadline holds in either module, and the trace says where it came.
try {
  await plugin.call("wait_for_ever");
} catch (error) {
  if (!isMortiseError(error)) throw error;
  console.log(`${error.code}: ${error.message}`);
  for (const frame of error.details["trace"] as readonly { readonly function: string }[]) console.log(`  at ${frame.function}`);
}
