import { compare, thrown } from "./side-by-side.ts";
import { CALLER, resultGuest } from "./modules.ts";
import { type Create, type SdkContext, assemble, fixtures } from "./sdks.ts";

const caller = await assemble(CALLER);

/** What a host function sees when it does something with the context and the block that it was given. */
function seen(work: (context: SdkContext, address: bigint) => unknown, hostContext?: unknown, options?: Record<string, unknown>) {
  return async (create: Create): Promise<unknown> => {
    let result: unknown;
    const plugin = await fixtures(
      create,
      (context, address) => {
        result = work(context, address);
        return address;
      },
      options,
    );
    await plugin.call("host_reflect", "abcdefgh", hostContext);
    return result;
  };
}

compare("CallContext", [
  { name: "reads a block", run: seen((context, address) => context.read(address)) },
  { name: "reads a block at a number", run: seen((context) => context.read(Number(context.store("x")) > 2 ** 53 ? 1n << 60n : 1n << 60n)) },
  { name: "reads nothing where there is no block", run: seen((context) => context.read(1n << 60n)) },
  { name: "reads nothing at a negative address", run: seen((context) => context.read(-1n)) },
  { name: "refuses to read at undefined", run: seen((context) => context.read(undefined as unknown as bigint)) },
  {
    name: "reads at 0",
    run: seen((context) => context.read(0n)),
    expect: { because: "there it is an empty block, where plugins pass 0 for empty text", door: { output: "" }, package: { output: "\0" } },
  },
  {
    name: "reads inside a block",
    run: seen((context, address) => context.read(address + 2n)),
    expect: { because: "no block starts there", door: null, package: { output: "abcdefgh" } },
  },
  { name: "gives lengths", run: seen((context, address) => [context.length(address), context.length(1n << 60n)]) },
  {
    name: "gives the length of nothing",
    run: seen((context) => context.length(0n)),
    expect: { because: "it is 0", door: 0n, package: 1n },
  },
  { name: "stores text", run: seen((context) => context.read(context.store("häus"))) },
  { name: "stores bytes", run: seen((context) => context.read(context.store(new Uint8Array([104, 105])))) },
  { name: "stores empty text", run: seen((context) => context.read(context.store(""))) },
  { name: "stores a lone surrogate", run: seen((context) => [...(context.read(context.store("\ud800"))?.bytes() ?? [])]) },
  {
    name: "stores an output",
    run: seen((context, address) => context.read(context.store(context.read(address)))),
    expect: { because: "it has bytes like any other", door: { output: "abcdefgh" }, package: thrown("SyntaxError", "Cannot convert") },
  },
  {
    name: "stores a number",
    run: seen((context) => typeof context.store(5)),
    expect: {
      because: "it is refused instead of taken for a block",
      door: thrown("TypeError", 'Cannot use option "input of store"'),
      package: "bigint",
    },
  },
  {
    name: "allocates zeros",
    run: seen((context) => [context.read(context.alloc(4)), context.length(context.alloc(8n)), typeof context.alloc(1)]),
  },
  { name: "allocates nothing", run: seen((context) => context.length(context.alloc(0))) },
  {
    name: "has variables",
    run: seen((context) => [
      context.getVariable("x"),
      context.setVariable("x", "1"),
      context.getVariable("x"),
      context.setVariable("x", new Uint8Array([50])),
      context.getVariable("x"),
      context.deleteVariable("x"),
      context.getVariable("x"),
      context.deleteVariable("not there"),
    ]),
  },
  { name: "has empty variables", run: seen((context) => [context.setVariable("x", ""), context.getVariable("x")]) },
  { name: "has no variables that nobody set", run: seen((context) => context.getVariable("toString")) },
  {
    name: "refuses undefined as a variable",
    run: seen((context) => context.setVariable("x", undefined)),
    expect: {
      because: "it says so",
      door: thrown("TypeError", 'Cannot use option "value of setVariable"'),
      package: thrown("TypeError", "Cannot read"),
    },
  },
  {
    name: "shares variables with the plugin",
    run: async (create) => {
      const plugin = await fixtures(create, (context) => context.store(context.getVariable("count")?.bytes() ?? "none"));
      await plugin.call("var_bump");
      return [...((await plugin.call("host_reflect", "x"))?.bytes() ?? [])];
    },
  },
  { name: "sets an error message", run: seen((context) => context.setError("host says no")) },
  { name: "sets an error's message", run: seen((context) => context.setError(new Error("host says no"))) },
  {
    name: "clears an error message",
    run: seen((context) => [context.setError("x"), context.setError(null), context.setError("x"), context.setError()]),
    expect: {
      because: "null and nothing clear it",
      door: [undefined, undefined, undefined, undefined],
      package: thrown("Error", "could not store error value"),
    },
  },
  { name: "gives the caller's context", run: seen((context) => context.hostContext(), { user: 7 }) },
  { name: "gives no context if there is none", run: seen((context) => context.hostContext()) },
  { name: "tells the level", run: seen((context) => context.logLevel, undefined, { logLevel: "warn", logger: console }) },
  { name: "tells that nothing is logged", run: seen((context) => context.logLevel) },
  {
    name: "changes the level to a more severe one",
    run: async (create) => {
      const lines: string[] = [];
      const logger = Object.fromEntries(["trace", "debug", "info", "warn", "error"].map((level) => [level, (line: string) => lines.push(line)]));
      const plugin = await fixtures(
        create,
        (context, address) => {
          context.logLevel = "error";
          return address;
        },
        { logger, logLevel: "info" },
      );
      for (const name of ["log_all", "host_reflect", "log_all"]) await plugin.call(name, "x");
      return lines;
    },
  },
  {
    name: "refuses an unknown level",
    run: seen((context) => {
      context.logLevel = "loud";
    }),
  },
  {
    name: "is of no use after the call",
    run: async (create) => {
      let kept: SdkContext | undefined;
      const plugin = await fixtures(create, (context, address) => {
        kept = context;
        return address;
      });
      await plugin.call("host_reflect", "x");
      return kept?.store("late");
    },
    expect: {
      because: "it says so instead of writing into a later call",
      door: thrown("MortiseError", "Cannot use the call context"),
      package: 844_424_930_131_968n,
    },
  },
]);

const results: readonly [type: string, value: unknown][] = [
  ...["i32", "f32", "f64"].flatMap((type) =>
    [undefined, null, true, "7", "x", 5, -5, 1.5, 2 ** 40, {}, 5n].map((value): [string, unknown] => [type, value]),
  ),
  ...[undefined, null, true, "7", "x", 1.5, 5n, 2n ** 70n, {}].map((value): [string, unknown] => ["i64", value]),
];

async function resultOf(create: Create, type: string, value: unknown): Promise<unknown> {
  let found: unknown;
  const plugin = await create(
    { wasm: [{ data: await assemble(resultGuest(type)) }] },
    { functions: { u: { f: () => value, seen: (_context: unknown, result: unknown) => void (found = result) } } },
  );
  await plugin.call("go");
  return found;
}

compare("Result of a host function", [
  ...results.map(([type, value]) => ({
    name: `converts ${typeof value} ${String(value)} to ${type}`,
    run: (create: Create) => resultOf(create, type, value),
  })),
  {
    name: "converts number 5 to i64",
    run: (create) => resultOf(create, "i64", 5),
    expect: { because: "a whole number is a whole number", door: 5n, package: thrown("TypeError", "Cannot convert 5 to a BigInt") },
  },
]);

compare("Host function", [
  {
    name: "gets numbers and bigints",
    run: async (create) => {
      let values: unknown;
      const f = (_context: unknown, ...found: unknown[]): number => {
        values = found;
        return 0;
      };
      const plugin = await create({ wasm: [{ data: await assemble(resultGuest("i32")) }] }, { functions: { u: { f, seen: () => {} } } });
      await plugin.call("go");
      return values;
    },
  },
  {
    name: "may be asynchronous",
    run: async (create) => {
      const plugin = await fixtures(create, async (context, address) => {
        const text = context.read(address)?.text() ?? "";
        await new Promise(setImmediate);
        return context.store(text.toUpperCase());
      });
      return plugin.call("host_reflect", "abc");
    },
  },
  {
    name: "may return a promise without being an async function",
    run: async (create) => (await fixtures(create, (_context, address) => Promise.resolve(address))).call("host_reflect", "abc"),
    expect: {
      because: "a promise is a promise",
      door: { output: "abc" },
      package: thrown("SyntaxError", "Cannot convert [object Promise] to a BigInt"),
    },
  },
  {
    name: "calls the plugin that is calling it",
    run: async (create) => {
      let inner: unknown;
      const plugin = await fixtures(create, async (_context, address) => {
        inner = await plugin.call("globals").catch((error: Error) => error.message);
        return address;
      });
      return [await plugin.call("host_reflect", "x"), inner];
    },
    expect: {
      because: "it is refused, as the package does in a worker, and breaks nothing",
      door: [{ output: "x" }, "plugin is not reentrant"],
      package: thrown("TypeError", "undefined is not iterable"),
    },
  },
  {
    name: "is called once for each of several calls that wait",
    run: async (create) => {
      let calls = 0;
      const f = async (): Promise<void> => {
        await new Promise(setImmediate);
        calls++;
      };
      const plugin = await create({ wasm: [{ data: caller }] }, { functions: { u: { f } } });
      const settled = await Promise.allSettled([plugin.call("go"), plugin.call("go"), plugin.call("go")]);
      return [calls, settled.map(({ status }) => status)];
    },
    expect: { because: "no call breaks another", door: [3, ["fulfilled", "fulfilled", "fulfilled"]] },
  },
  {
    name: "is not taken from a prototype",
    run: async (create) => {
      class Functions {
        f(): void {}
      }
      return create({ wasm: [{ data: caller }] }, { functions: { u: new Functions() } }).catch(() => "refused");
    },
  },
]);
