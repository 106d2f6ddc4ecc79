// Plugins for Bifrost: `malloc` and `free` under several names, packed results, `init` with the configuration, `cleanup`.
// Three generations of the interface differ in the names of hooks and, the first, in how many buffers they take.
// Facts: docs/from-bifrost.md.

import { MortiseError, printable } from "../../api/errors.ts";
import { BIFROST_ALLOCATORS } from "../../wasm/detect.ts";
import { type ParsedModule, functionTypeName } from "../../wasm/module-reader.ts";
import type { CallContext, ProvidedFunction } from "../guest.ts";
import type { Dialect } from "./dialect.ts";

/** Longest message of `abort` and `trace`, in bytes of UTF-16. */
const MAX_MESSAGE_BYTES = 4096;

const utf16 = new TextDecoder("utf-16le");

export const BIFROST: Dialect = {
  abi: "bifrost",
  fresh: false,
  allocatesNothing: false,
  internal: new Set(["plugin_malloc", "plugin_free", "plugin_reset", "malloc", "free", "calloc", "realloc"]),
  parts: {
    4: () => ["context", "request"],
    6: () => ["context", "response", "error"],
  },
  configure: "init",
  cleanUp: "cleanup",
  provided: {
    // What AssemblyScript's own library imports.
    env: {
      abort: sync(["i32", "i32", "i32", "i32"], [], (context, message = 0, file = 0, line = 0, column = 0) => {
        const where = file === 0 ? "" : ` (${assemblyScriptText(context, file)}:${line >>> 0}:${column >>> 0})`;
        const reason = `${message === 0 ? "it aborted" : assemblyScriptText(context, message)}${where}`;
        throw new MortiseError("MORTISE_GUEST_ERROR", { plugin: context.plugin, function: context.function, reason });
      }),
      seed: sync([], ["f64"], () => Math.random()),
      trace: sync(["i32", "i32", "f64", "f64", "f64", "f64", "f64"], [], () => undefined),
      "console.log": sync(["i32"], [], () => undefined),
    },
  },
  allocatorOf(module) {
    const exported = (name: string): string | undefined => functionType(module, name);
    const allocate = BIFROST_ALLOCATORS.find((name) => exported(name) === "(i32) -> i32") ?? "malloc";
    const free = ["plugin_free", "free"].find((name) => /^\(i32(, i32)?\) -> (\(\)|i32)$/.test(exported(name) ?? ""));
    return { allocate, free, reset: /^\(\) -> (\(\)|i32)$/.test(exported("plugin_reset") ?? "") ? "plugin_reset" : undefined };
  },
};

function sync(
  params: ProvidedFunction["params"],
  results: ProvidedFunction["results"],
  run: (context: CallContext, ...values: number[]) => number | undefined,
): ProvidedFunction {
  return { params, results, waits: false, run };
}

/** A string of AssemblyScript: UTF-16, with its length in bytes in the four bytes in front of it. */
function assemblyScriptText(context: CallContext, address: number): string {
  const header = context.read((address >>> 0) - 4, 4);
  const length = new DataView(header.buffer, header.byteOffset, 4).getUint32(0, true);
  return printable(utf16.decode(context.read(address >>> 0, Math.min(length, MAX_MESSAGE_BYTES))));
}

function functionType(module: ParsedModule, name: string): string | undefined {
  const item = module.exports.find((candidate) => candidate.name === name && candidate.kind === "function");
  return item === undefined ? undefined : functionTypeName(module.types[module.functionTypes[item.index] as number]);
}
