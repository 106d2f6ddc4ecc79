import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

import { type Case, compare, thrown } from "./side-by-side.ts";
import { WASI_GUEST } from "./modules.ts";
import { type Create, REFLECT, type SdkPlugin, assemble, fixtures, guestPath } from "./sdks.ts";

const reflecting = (create: Create, options: Record<string, unknown> = {}): Promise<SdkPlugin> =>
  create(guestPath("fixtures.c"), { functions: REFLECT, ...options });

async function linesOf(create: Create, options: Record<string, unknown>, methods = ["trace", "debug", "info", "warn", "error"]): Promise<unknown> {
  const lines: unknown[] = [];
  const logger = Object.fromEntries(methods.map((level) => [level, (...words: unknown[]) => lines.push([level, ...words])]));
  const plugin = await reflecting(create, { logger, ...options });
  await plugin.call("log_all");
  await plugin.close();
  return lines;
}

const speaker = await assemble(`(module
  (import "extism:host/env" "log_error" (func $log (param i64)))
  (import "extism:host/env" "input_offset" (func $input (result i64)))
  (func (export "say") (call $log (call $input))))`);

compare("logger", [
  ...["trace", "debug", "info", "warn", "error", "silent"].map((logLevel): Case => ({
    name: `gets lines from ${logLevel}`,
    run: (create) => linesOf(create, { logLevel }),
  })),
  {
    name: "gets a line with control characters",
    run: async (create) => {
      const lines: unknown[] = [];
      const logger = { error: (line: string) => lines.push(line) };
      const plugin = await create({ wasm: [{ data: speaker }] }, { logger, logLevel: "error" });
      await plugin.call("say", "one\ntwo \u001b[31m");
      return lines;
    },
    expect: { because: "a plugin cannot forge lines", door: ["one\\ntwo \\u001b[31m"], package: ["one\ntwo \u001b[31m"] },
  },
  { name: "gets nothing without a level", run: (create) => linesOf(create, {}) },
  {
    name: "may lack methods that it does not need",
    run: (create) => linesOf(create, { logLevel: "error" }, ["info", "debug", "warn", "error"]),
  },
  {
    name: "is the console if there is a level",
    run: async (create) => {
      const { error } = console;
      const lines: unknown[] = [];
      console.error = (...words: unknown[]) => void lines.push(words);
      try {
        const plugin = await reflecting(create, { logLevel: "error" });
        await plugin.call("log_all");
      } finally {
        console.error = error;
      }
      return lines;
    },
  },
]);

compare("memory", [
  {
    name: "maxPages counts the plugin's own memory",
    run: async (create) => (await reflecting(create, { memory: { maxPages: 3 } })).call("grow", "100").then((output) => output?.text()),
    expect: { because: "it is documented as the memory's size", door: thrown("MortiseError", "Stopped function"), package: "1" },
  },
  { name: "maxPages of 0 sets no limit", run: async (create) => (await reflecting(create, { memory: { maxPages: 0 } })).call("grow", "100") },
  {
    name: "maxPages counts blocks",
    run: (create) =>
      fixtures(create, (context) => context.alloc(1_000_000), { memory: { maxPages: 3 } }).then((plugin) => plugin.call("host_reflect", "x")),
    expect: { because: "the call ends, instead of going on with no block", door: thrown("MortiseError", "Stopped function") },
  },
  { name: "maxPages leaves room for what fits", run: async (create) => (await reflecting(create, { memory: { maxPages: 40 } })).call("grow", "10") },
  {
    name: "maxVarBytes ends a call that sets too much",
    run: async (create) => (await reflecting(create, { memory: { maxVarBytes: 100 } })).call("var_fill", "2000000"),
    expect: {
      because: "names and an overhead count as well",
      door: thrown("Error", "Plugin-originated error: var memory limit exceeded: 2000052 bytes requested, 100 allowed"),
      package: thrown("Error", "Plugin-originated error: var memory limit exceeded: 2000000 bytes requested, 100 allowed"),
    },
  },
  {
    name: "maxVarBytes of 0",
    run: async (create) => (await reflecting(create, { memory: { maxVarBytes: 0 } })).call("var_fill", "1"),
    expect: {
      because: "no variable is allowed",
      door: thrown("Error", "Plugin-originated error: var memory limit exceeded"),
      package: { output: "1" },
    },
  },
  {
    name: "maxVarBytes by default",
    run: async (create) => (await reflecting(create)).call("var_fill", "2000000"),
    expect: {
      because: "it is 1 MiB, as Extism's own runtime has it",
      door: thrown("Error", "Plugin-originated error: var memory limit exceeded"),
      package: { output: "2000000" },
    },
  },
]);

compare("timeoutMs", [
  {
    name: "ends a call without a worker",
    run: async (create) => (await reflecting(create, { timeoutMs: 100 })).call("spin"),
    expect: {
      because: "it needs none",
      door: thrown("Error", "EXTISM: call canceled due to timeout"),
      package: thrown("TypeError", '"timeout" requires "runInWorker: true"'),
    },
  },
  { name: "ends a call in a worker", run: (create) => inWorker(create, { timeoutMs: 300 }, (plugin) => plugin.call("spin")) },
  {
    name: "leaves the plugin usable in a worker",
    run: (create) =>
      inWorker(create, { timeoutMs: 2000 }, async (plugin) => {
        await plugin.call("spin").catch(() => {});
        return plugin.call("globals");
      }),
  },
  { name: "of 0 sets no limit", run: async (create) => (await reflecting(create, { timeoutMs: 0 })).call("globals") },
  { name: "of null sets no limit", run: async (create) => (await reflecting(create, { timeoutMs: null })).call("globals") },
  {
    name: "of an unending call that waits for a host function",
    run: async (create) => (await fixtures(create, () => new Promise(() => {}), { timeoutMs: 100 })).call("host_reflect", "x"),
    expect: { because: "it ends as well", door: thrown("Error", "EXTISM: call canceled due to timeout") },
  },
]);

async function inWorker(create: Create, options: Record<string, unknown>, work: (plugin: SdkPlugin) => Promise<unknown>): Promise<unknown> {
  const plugin = await reflecting(create, { runInWorker: true, ...options });
  try {
    return await work(plugin);
  } finally {
    await plugin.close();
  }
}

compare("runInWorker", [
  { name: "gives outputs", run: (create) => inWorker(create, {}, (plugin) => plugin.call("host_reflect", "x")) },
  {
    name: "gives large outputs",
    run: (create) => inWorker(create, {}, async (plugin) => (await plugin.call("host_reflect", "x".repeat(200_000)))?.byteLength),
  },
  {
    name: "keeps variables",
    run: (create) => inWorker(create, {}, async (plugin) => [await plugin.call("var_bump"), await plugin.call("var_bump")]),
    expect: { because: "they are documented to last", door: [{ output: "1" }, { output: "2" }], package: [{ output: "1" }, { output: "1" }] },
  },
  { name: "keeps globals", run: (create) => inWorker(create, {}, async (plugin) => [await plugin.call("globals"), await plugin.call("globals")]) },
  { name: "gives the plugin's error", run: (create) => inWorker(create, {}, (plugin) => plugin.call("fail")) },
  {
    name: "lists exports and imports",
    run: (create) => inWorker(create, {}, async (plugin) => [await plugin.getExports(), await plugin.getImports()]),
  },
  { name: "tells what exists", run: (create) => inWorker(create, {}, (plugin) => plugin.functionExists("trap")) },
  { name: "logs", run: (create) => linesOf(create, { runInWorker: true, logLevel: "info" }) },
  { name: "has configuration", run: (create) => inWorker(create, { config: { a: "1" } }, (plugin) => plugin.call("config_echo", "a")) },
  {
    name: "calls host functions, synchronous and asynchronous",
    run: async (create) => {
      const plugin = await fixtures(
        create,
        async (context, address) => {
          await new Promise(setImmediate);
          return context.store(`${context.read(address)?.text()} ${JSON.stringify(context.hostContext())}`);
        },
        { runInWorker: true },
      );
      const output = await plugin.call("host_reflect", "x", { user: 1 });
      await plugin.close();
      return output;
    },
  },
  {
    name: "gives host functions the caller's context itself",
    run: async (create) => {
      const context = { callback: (): string => "called" };
      let found: unknown;
      const plugin = await fixtures(
        create,
        (callContext, address) => {
          found = callContext.hostContext();
          return address;
        },
        { runInWorker: true },
      );
      await plugin.call("host_reflect", "x", context);
      await plugin.close();
      return found === context;
    },
  },
  {
    name: "refuses a host function that calls its own plugin",
    run: async (create) => {
      let inner: unknown;
      const plugin = await fixtures(
        create,
        async (_context, address) => {
          inner = await plugin.call("globals").catch((error: Error) => error.message);
          return address;
        },
        { runInWorker: true },
      );
      const output = await plugin.call("host_reflect", "x");
      await plugin.close();
      return [output, inner];
    },
  },
  {
    name: "of a trap",
    run: (create) => inWorker(create, {}, (plugin) => plugin.call("trap")),
    expect: { because: "it is an error", door: thrown("RuntimeError", "unreachable"), package: { thrown: "[object Object]" } },
  },
  {
    name: "of several calls at once",
    run: (create) => inWorker(create, {}, (plugin) => Promise.all(["a", "b"].map((input) => plugin.call("host_reflect", input)))),
    expect: { because: "they wait for their turn", door: [{ output: "a" }, { output: "b" }], package: thrown("Error", "plugin is not reentrant") },
  },
  {
    name: "has no instance to give",
    run: (create) => inWorker(create, {}, (plugin) => plugin.getInstance()),
    expect: { because: "it says why", door: thrown("MortiseError", "Cannot"), package: thrown("Error", "todo") },
  },
  {
    name: "is called after close",
    run: async (create) => {
      const plugin = await reflecting(create, { runInWorker: true });
      await plugin.close();
      return plugin.call("globals");
    },
  },
]);

const wasi = await assemble(WASI_GUEST);
const folder = await mkdtemp(join(tmpdir(), "door-"));
after(() => rm(folder, { recursive: true }));
await writeFile(join(folder, "file.txt"), "content");

/** Calls a function of the WASI guest, and gives the numbers that it hands to the host. */
async function numbersOf(create: Create, fn: string, options: Record<string, unknown> = {}, manifest: object = {}): Promise<unknown> {
  const numbers: number[] = [];
  const functions = { u: { seen: (_context: unknown, number: number) => void numbers.push(number) } };
  const plugin = await create({ wasm: [{ data: wasi }], ...manifest }, { functions, useWasi: true, ...options });
  try {
    await plugin.call(fn);
    return numbers;
  } finally {
    await plugin.close();
  }
}

compare("useWasi", [
  { name: "has to be set for plugins that import WASI", run: (create) => numbersOf(create, "say", { useWasi: false }) },
  { name: "runs plugins that import WASI", run: (create) => numbersOf(create, "say") },
  {
    name: "of a plugin that exits with 0",
    run: (create) => numbersOf(create, "exit_0"),
    expect: { because: "it came to a good end", door: [], package: { thrown: "Symbol(kExitCode)" } },
  },
  {
    name: "of a plugin that exits with 3",
    run: (create) => numbersOf(create, "exit_3"),
    expect: { because: "it is an error with a text", door: thrown("MortiseError", "Stopped function"), package: { thrown: "Symbol(kExitCode)" } },
  },
  { name: "allows no folders by itself", run: (create) => numbersOf(create, "folders") },
  { name: "allows folders", run: (create) => numbersOf(create, "folders", { allowedPaths: { "/door-test": folder } }) },
  { name: "allows folders in the manifest", run: (create) => numbersOf(create, "folders", {}, { allowedPaths: { "/door-test": folder } }) },
  {
    name: "of the options takes the place of the manifest's folders",
    run: (create) => numbersOf(create, "folders", { allowedPaths: {} }, { allowedPaths: { "/door-test": folder } }),
  },
  { name: "allows one folder under two names", run: (create) => numbersOf(create, "folders", { allowedPaths: { "/a": folder, "/b": folder } }) },
  {
    name: "allows folders for reading",
    run: (create) => numbersOf(create, "folders", { allowedPaths: { "/door-test": `ro:${folder}` } }),
    expect: { because: "Extism's own runtime does", door: [0, 8], package: thrown("Error", "Readonly dirs are not supported") },
  },
  { name: "allows folders for writing", run: (create) => numbersOf(create, "create", { allowedPaths: { "/door-test": folder } }) },
  {
    name: "allows no writing in folders for reading",
    run: (create) => numbersOf(create, "create", { allowedPaths: { "/door-test": `ro:${folder}` } }),
    expect: { because: "Extism's own runtime does not either", door: [69], package: thrown("Error", "Readonly dirs are not supported") },
  },
  {
    name: "is not set, and folders are not there",
    run: async (create) => (await create(guestPath("echo.c"), { allowedPaths: { "/door-test": "/not/there" } })).call("echo", "x"),
  },
  {
    name: "refuses folders that are not there",
    run: (create) => numbersOf(create, "folders", { allowedPaths: { "/mnt": "/not/there" } }).catch(() => "refused"),
  },
]);
