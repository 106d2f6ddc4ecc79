// Which imports may answer with a promise, so that the guest has to be suspended.

import { WASI_MODULE } from "../wasi/functions.ts";
import type { ParsedModule } from "../wasm/module-reader.ts";
import type { HostFunctions, ProvidedFunctions } from "./guest.ts";

/** Import module of Extism's own functions, of which one waits for something outside. */
const EXTISM = "extism:host/env";
const EXTISM_WAITING = new Set(["http_request"]);
/** Functions of WASI that sleep, or read from what may have nothing to read yet. */
const WASI_WAITING = new Set(["poll_oneoff", "fd_read"]);

/**
 * Indexes of imported functions that may have to wait. A function of the user's comes first, and may return a promise also
 * if it is not declared `async`.
 */
export function waitingImports(module: ParsedModule, hostFunctions: HostFunctions, provided: ProvidedFunctions): Set<number> {
  const waiting = module.imports.filter(({ kind, module: space, name }) => {
    if (kind !== "function") return false;
    if (space === EXTISM) return EXTISM_WAITING.has(name);
    if (space === WASI_MODULE) return WASI_WAITING.has(name);
    if (holds(hostFunctions, space, name)) return true;
    return !holds(provided, space, name) || provided[space]?.[name]?.waits === true;
  });
  return new Set(waiting.map(({ index }) => index));
}

/** Names come from the module: none of them may be found in a prototype. */
function holds(functions: HostFunctions | ProvidedFunctions, module: string, name: string): boolean {
  return Object.hasOwn(functions, module) && Object.hasOwn(functions[module] ?? {}, name);
}
