// Many calls of many kinds at once, with aborts, deadlines, failures and closes between them: nobody gets another's answer.

import assert from "node:assert/strict";
import { it } from "node:test";

import { type CallContext, type Plugin, instanceCount, isMortiseError, loadPlugin } from "../../src/index.ts";
import { assemble } from "../wasm/corpus.ts";
import { Random } from "../wasm/random.ts";

/** Each outputs its input, and asks the host for it more than once on the way. */
const GUEST = `(module
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "host" "reflect" (func $reflect (param i64) (result i64)))
  (memory 1)
  (func $out (param i64) (call $output_set (local.get 0) (call $length (local.get 0))))
  (func $echo (export "echo") (call $output_set (call $input_offset) (call $input_length)))
  (func (export "ask") (call $out (call $reflect (call $input_offset))))
  (func (export "twice") (call $out (call $reflect (call $reflect (call $input_offset)))))
  (func (export "work") (local $i i32)
    (loop (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if 0 (i32.lt_u (local.get $i) (i32.const 60000))))
    (call $out (call $reflect (call $input_offset))))
  (func (export "grow") (drop (memory.grow (i32.const 1))) (call $echo))
  (func (export "trap") (drop (call $reflect (call $input_offset))) unreachable)
  (func (export "spin") (drop (call $reflect (call $input_offset))) (loop (br 0))))`;

const CALLS = 20_000;
const AT_ONCE = 150;
const FUNCTIONS = ["echo", "echo", "ask", "ask", "twice", "work", "grow", "trap", "spin"] as const;
const EXPECTED = new Set([
  "MORTISE_ABORTED", "MORTISE_TIMEOUT", "MORTISE_CLOSED", "MORTISE_TRAP", "MORTISE_HOST_FUNCTION", "MORTISE_FUEL", "MORTISE_REENTRANT",
]); // prettier-ignore

it(`${CALLS} calls over several plugins each get their own answer or a code, and leave nothing behind`, { timeout: 300_000 }, async () => {
  const random = new Random(20_261_121);
  const bytes = await assemble(GUEST);
  const resources = process.getActiveResourcesInfo().toSorted();
  const { live } = instanceCount();
  let crossed = 0;
  const plugins: Plugin[] = [];
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const reflect = async (context: CallContext, address: bigint): Promise<bigint> => {
    const text = context.readText(address);
    if (text !== context.context) crossed++;
    for (let turns = random.below(4); turns > 0; turns--) await turn();
    if (random.oneIn(40)) throw new Error("refused by chance");
    if (random.oneIn(30)) {
      // A nested call, of whichever plugin: it may be the same one.
      const nested = random.pick(plugins);
      try {
        const output = await nested.call("echo", `${text} nested`, { timeoutMs: 200 });
        if (output.text() !== `${text} nested`) crossed++;
      } catch (error) {
        assert.ok(isMortiseError(error) && EXPECTED.has(error.code), String(error));
      }
    }
    return context.store(text);
  };
  const load = (index: number): Promise<Plugin> =>
    loadPlugin(bytes, {
      name: `p${index}`,
      hostFunctions: { host: { reflect } },
      limits: { fuel: 3_000_000, timeoutMs: 60_000, sliceMs: 1 },
      ...(index % 2 === 0 ? {} : { stateless: true, pool: { maxInstances: 1 + (index % 4), recycleCalls: 50, idleMs: 5 } }),
    });
  for (let index = 0; index < 6; index++) plugins.push(await load(index));
  const ends = new Map<string, number>();
  const closing: Promise<void>[] = [];
  let settled = 0;

  const one = async (id: number): Promise<void> => {
    const plugin = random.pick(plugins);
    const fn = random.pick(FUNCTIONS);
    const input = `call ${id} of ${fn}`;
    const controller = random.oneIn(5) ? new AbortController() : undefined;
    const timeoutMs = random.oneIn(10) ? 1 + random.below(5) : 60_000;
    // oxlint-disable-next-line promise/always-return -- nobody waits for it
    if (controller !== undefined) void Promise.resolve().then(async () => {
      for (let turns = random.below(10); turns > 0; turns--) await turn();
      controller.abort(new Error(input));
    }); // prettier-ignore
    let end = "answered";
    try {
      const output = await plugin.call(fn, input, { context: input, timeoutMs, ...(controller === undefined ? {} : { signal: controller.signal }) });
      assert.equal(output.text(), input);
      assert.ok(fn !== "trap" && fn !== "spin", fn);
    } catch (error) {
      if (!isMortiseError(error)) throw error;
      assert.ok(EXPECTED.has(error.code), `${error.code}: ${error.message}`);
      assert.deepEqual([error.details["plugin"], error.details["function"]], [plugin.name, fn]);
      if (error.code === "MORTISE_ABORTED") assert.equal((error.cause as Error).message, input);
      end = error.code;
    }
    ends.set(end, (ends.get(end) ?? 0) + 1);
    settled++;
  };

  let next = 0;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (next < CALLS) {
        const id = next++;
        if (id % 1500 === 1499) {
          const index = random.below(plugins.length);
          closing.push((plugins[index] as Plugin).close({ abort: random.oneIn(2) }));
          plugins[index] = await load(index);
        }
        await one(id);
      }
    }),
  );
  await Promise.all(plugins.map((plugin) => plugin.close()));
  await Promise.all(closing);
  assert.deepEqual([settled, crossed], [CALLS, 0]);
  for (const code of EXPECTED) if (code !== "MORTISE_REENTRANT") assert.ok((ends.get(code) ?? 0) > 5, `${code}: ${String(ends.get(code))} times`);
  assert.ok((ends.get("answered") ?? 0) > CALLS / 3, JSON.stringify(Array.from(ends)));
  await turn();
  assert.equal(instanceCount().live, live);
  assert.deepEqual(process.getActiveResourcesInfo().toSorted(), resources);
});
