// A process that counts how often an export is made into one that returns a promise, and prints the count after each call.

const integration = WebAssembly as { promising?: (fn: unknown) => unknown };
const { promising } = integration;
let made = 0;
integration.promising = (fn) => {
  made++;
  return promising?.(fn);
};

const { loadPlugin } = await import("../../src/index.ts");
const { assemble } = await import("../wasm/corpus.ts");
const text = `(module
  (import "extism:host/env" "input_length" (func $length (result i64)))
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "var_get" (func $var (param i64) (result i64)))
  (import "host" "ask" (func $ask))
  (table 1 funcref) (elem (i32.const 0) $ask)
  (func $small (result i32) (i32.const 0))
  (func (export "plain") (result i32) (call $small))
  (func (export "kernel") (drop (call $length)) (drop (call $alloc (i64.const 9))))
  (func (export "variables") (drop (call $var (i64.const 0))))
  (func $inner (call $ask))
  (func (export "waits") (call $inner))
  (func (export "tail") (return_call $ask))
  (func (export "table") (call_indirect (i32.const 0))))`;
const plugin = await loadPlugin(await assemble(text), { hostFunctions: { host: { ask: () => {} } } });
const counts: Record<string, number> = {};
for (const name of ["plain", "kernel", "variables", "waits"]) {
  await plugin.call(name);
  counts[name] = made;
}
await plugin.call("waits");
counts["waitsAgain"] = made;
for (const name of ["tail", "table"]) {
  await plugin.call(name);
  counts[name] = made;
}
for (const name of plugin.exports) plugin.callSync(name);
counts["sync"] = made;
process.stdout.write(JSON.stringify(counts));
