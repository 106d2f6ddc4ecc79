// Which imports may answer with a promise, so that the guest has to be suspended.

import { WASI_MODULE } from "../wasi/functions.ts";
import type { ParsedModule } from "../wasm/module-reader.ts";
import type { ProvidedFunctions } from "./guest.ts";

/** Import module of Extism's own functions, of which one waits for something outside. */
const EXTISM = "extism:host/env";
const EXTISM_WAITING = new Set(["http_request"]);
/** Functions of WASI that sleep, or read from what may have nothing to read yet. */
const WASI_WAITING = new Set(["poll_oneoff", "fd_read"]);

/** Indexes of imported functions that may have to wait. A host function that is not declared `async` may return a promise all the same. */
export function waitingImports(module: ParsedModule, provided: ProvidedFunctions): Set<number> {
  const waiting = module.imports.filter(({ kind, module: space, name }) => {
    if (kind !== "function") return false;
    if (space === EXTISM) return EXTISM_WAITING.has(name);
    if (space === WASI_MODULE) return WASI_WAITING.has(name);
    const functions = provided[space];
    return functions === undefined || !Object.hasOwn(functions, name) || functions[name]?.waits === true;
  });
  return new Set(waiting.map(({ index }) => index));
}
