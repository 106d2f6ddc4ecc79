// A process whose engine cannot suspend a guest: prints how calls end there. No flag of Node 24 turns promise integration
// off, so that its functions are taken away before anything of Mortise is loaded.

const integration = WebAssembly as { Suspending?: unknown; promising?: unknown };
delete integration.Suspending;
delete integration.promising;

const { loadPlugin } = await import("../../src/index.ts");
const { assemble } = await import("../wasm/corpus.ts");
const { endOf } = await import("./opened.ts");
const text = `(module (import "host" "ask" (func $ask)) (func (export "waits") (call $ask)) (func (export "plain"))
  (func (export "spin") (loop (br 0)))
  (func (export "long") (local $turns i32)
    (loop (local.set $turns (i32.add (local.get $turns) (i32.const 1))) (br_if 0 (i32.lt_u (local.get $turns) (i32.const 3000000))))))`;
let now = 0;
const plugin = await loadPlugin(await assemble(text), {
  clock: () => (now += 0.5),
  hostFunctions: { host: { ask: async () => {} } },
});
const thrown = (): string => {
  try {
    return plugin.callSync("waits").text();
  } catch (error) {
    return (error as { code: string }).code;
  }
};
const ends = {
  call: await endOf(plugin.call("waits")),
  callSync: thrown(),
  plain: await endOf(plugin.call("plain")),
  long: await endOf(plugin.call("long", "", { timeoutMs: 1e9 })),
  timeout: await endOf(plugin.call("spin", "", { timeoutMs: 50 })),
};
process.stdout.write(JSON.stringify(ends));
