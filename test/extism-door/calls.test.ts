import { type Case, compare, thrown } from "./side-by-side.ts";
import { SHAPES } from "./modules.ts";
import { type Create, REFLECT, type SdkOutput, type SdkPlugin, assemble, fixtures, guestPath } from "./sdks.ts";

const shapes = await assemble(SHAPES);

const reflecting = (create: Create): Promise<SdkPlugin> => create(guestPath("fixtures.c"), { functions: REFLECT });
const shaped = (create: Create): Promise<SdkPlugin> => create({ wasm: [{ data: shapes }] });
const reflect = async (create: Create, input?: unknown): Promise<SdkOutput> =>
  (await (await reflecting(create)).call("host_reflect", input)) as SdkOutput;

compare("Plugin.call", [
  { name: "gives the output of text", run: (create) => reflect(create, "häus 🏠") },
  { name: "gives the output of bytes", run: (create) => reflect(create, new Uint8Array([1, 2, 3])) },
  { name: "gives the output of a part of a buffer", run: (create) => reflect(create, new Uint8Array([1, 2, 3, 4]).subarray(1, 3)) },
  { name: "gives the output of many bytes", run: async (create) => (await reflect(create, "x".repeat(1_000_000))).byteLength },
  { name: "gives the output of very many bytes", run: async (create) => (await reflect(create, new Uint8Array(20 << 20))).byteLength },
  { name: "lets the plugin's memory grow", run: async (create) => (await reflecting(create)).call("grow", "2000") },
  { name: "gives an empty output for empty text", run: (create) => reflect(create, "") },
  { name: "gives an empty output without input", run: (create) => reflect(create) },
  { name: "gives an empty output for null", run: (create) => reflect(create, null) },
  { name: "gives null if no output was set", run: async (create) => (await shaped(create)).call("nothing", "input") },
  {
    name: "takes a number",
    run: (create) => reflect(create, 5),
    expect: { because: "it is the input's decimal text, not the number of a block", door: { output: "5" }, package: { output: "" } },
  },
  {
    name: "takes a buffer",
    run: (create) => reflect(create, new TextEncoder().encode("abc").buffer),
    expect: { because: "bytes are bytes, whatever holds them", door: { output: "abc" }, package: { output: "" } },
  },
  {
    name: "takes an object",
    run: (create) => reflect(create, { a: 1 }),
    expect: { because: "it is refused instead of lost", door: thrown("MortiseError", "Cannot call function"), package: { output: "" } },
  },
  {
    name: "gives a part of a block as output",
    run: async (create) => (await shaped(create)).call("part", "abcdefgh"),
    expect: { because: "offset and length of output_set count", door: { output: "cde" }, package: { output: "abcdefgh" } },
  },
  {
    name: "of a function that returns 7",
    run: async (create) => (await shaped(create)).call("whole_and_7", "abc"),
    expect: { because: "a return code is a failure", door: thrown("MortiseError", "Failed in function"), package: { output: "abc" } },
  },
  ...["param", "two", "long"].map((name): Case => ({
    name: `of the export "${name}"`,
    run: async (create) => (await shaped(create)).call(name),
    expect: { because: "its type is not that of a plugin function", door: thrown("MortiseError", "Cannot call function"), package: null },
  })),
  { name: "keeps globals from call to call", run: async (create) => twice(await reflecting(create), "globals") },
  { name: "keeps variables from call to call", run: async (create) => twice(await reflecting(create), "var_bump") },
  { name: "returns a promise, also for a failure", run: async (create) => (await reflecting(create)).call("nope").catch(() => "rejected") },
  {
    name: "of several calls at once",
    run: async (create) => {
      const plugin = await create(guestPath("echo.c"));
      return Promise.all(["first", "second", "third"].map((input) => plugin.call("echo", input)));
    },
    expect: {
      because: "each gets its own output",
      door: [{ output: "first" }, { output: "second" }, { output: "third" }],
      package: [{ output: "third" }, { output: "third" }, { output: "third" }],
    },
  },
]);

async function twice(plugin: SdkPlugin, name: string): Promise<unknown> {
  return [await plugin.call(name), await plugin.call(name)];
}

compare("PluginOutput", [
  { name: "is a DataView over a buffer of its own", run: async (create) => viewOf(await reflect(create, "abcdefgh")) },
  { name: "gives text and string", run: async (create) => textOf(await reflect(create, "häus")) },
  { name: "replaces what is not UTF-8", run: async (create) => (await reflect(create, new Uint8Array([0xff, 0x41]))).text() },
  { name: "leaves a byte order mark out", run: async (create) => (await reflect(create, new Uint8Array([0xef, 0xbb, 0xbf, 0x41]))).text() },
  { name: "gives JSON", run: async (create) => (await reflect(create, '{"a":[1]}')).json() },
  { name: "throws for what is not JSON", run: async (create) => (await reflect(create, "hi")).json() },
  { name: "gives bytes", run: async (create) => [...(await reflect(create, new Uint8Array([1, 2]))).bytes()] },
  { name: "gives a buffer", run: async (create) => [...new Uint8Array((await reflect(create, "ab")).arrayBuffer())] },
  ...["setInt8", "setUint8", "setInt16", "setUint16", "setInt32", "setUint32", "setFloat32", "setFloat64", "setBigInt64", "setBigUint64"].map(
    (setter): Case => ({ name: `refuses ${setter}`, run: async (create) => write(await reflect(create, "abcdefgh"), setter) }),
  ),
  {
    name: "refuses setFloat16",
    run: async (create) => write(await reflect(create, "abcdefgh"), "setFloat16"),
    expect: { because: "it is a setter as well", door: thrown("Error", "Cannot set values on output"), package: undefined },
  },
]);

function viewOf(output: SdkOutput): unknown {
  return [
    output instanceof DataView,
    output.byteLength,
    output.byteOffset,
    output.buffer.byteLength,
    output.getUint32(0, true),
    output.getBigUint64(0),
  ];
}

function textOf(output: SdkOutput): unknown {
  return [output.text(), output.string()];
}

function write(output: SdkOutput, setter: string): unknown {
  const value: unknown = setter.startsWith("setBig") ? 1n : 1;
  return (output as unknown as Record<string, (at: number, value: unknown) => unknown>)[setter]?.(0, value);
}

compare("Plugin", [
  {
    name: "tells which functions exist",
    run: async (create) => {
      const plugin = await shaped(create);
      return Promise.all(["nothing", "whole_and_7", "nope", "memory", "toString", ""].map((name) => plugin.functionExists(name)));
    },
  },
  {
    name: "tells that an export of another type exists",
    run: async (create) => {
      const plugin = await shaped(create);
      return Promise.all(["param", "two", "long"].map((name) => plugin.functionExists(name)));
    },
    expect: { because: "call refuses it", door: [false, false, false], package: [true, true, true] },
  },
  { name: "lists exports", run: async (create) => (await shaped(create)).getExports() },
  { name: "lists imports", run: async (create) => (await reflecting(create)).getImports() },
  {
    name: "gives its instance with the exports of the module, and no others",
    run: async (create) => {
      const instance = await (await shaped(create)).getInstance();
      return [instance instanceof WebAssembly.Instance, Object.keys(instance.exports)];
    },
  },
  {
    name: "gives memories and globals of its instance",
    run: async (create) => {
      const { memory, answer } = (await (await shaped(create)).getInstance()).exports;
      return [memory instanceof WebAssembly.Memory, answer instanceof WebAssembly.Global && (answer.value as unknown)];
    },
  },
  {
    name: "gives functions of its instance that can be called",
    run: async (create) => {
      const plugin = await reflecting(create);
      const exports = (await plugin.getInstance()).exports as Record<string, () => number>;
      return [exports["globals"]?.(), await plugin.call("globals")];
    },
    expect: {
      because: "they are calls of the plugin",
      door: [0, { output: "2" }],
      package: thrown("TypeError", "Cannot set properties of undefined"),
    },
  },
  {
    name: "is active while a call runs, and not reset then",
    run: async (create) => {
      const seen: unknown[] = [];
      const plugin = await fixtures(create, async (_context, address) => {
        seen.push(plugin.isActive(), await plugin.reset());
        return address;
      });
      seen.push(plugin.isActive());
      await plugin.call("host_reflect", "x");
      seen.push(plugin.isActive(), await plugin.reset());
      return seen;
    },
  },
  {
    name: "keeps globals when it is reset",
    run: async (create) => {
      const plugin = await reflecting(create);
      await plugin.call("globals");
      await plugin.reset();
      return plugin.call("globals");
    },
  },
  { name: "can be closed twice", run: async (create) => closedTwice(await reflecting(create)) },
  {
    name: "tells about itself when it is closed",
    run: async (create) => {
      const plugin = await reflecting(create);
      await plugin.close();
      return [plugin.isActive(), await plugin.functionExists("trap"), (await plugin.getExports()).length, await plugin.reset()];
    },
  },
  {
    name: "is called after close",
    run: async (create) => {
      const plugin = await reflecting(create);
      await plugin.close();
      return plugin.call("globals");
    },
    expect: { because: "closed is closed", door: thrown("MortiseError", "Cannot call function"), package: { output: "1" } },
  },
]);

async function closedTwice(plugin: SdkPlugin): Promise<unknown> {
  return [await plugin.close(), await plugin.close()];
}
