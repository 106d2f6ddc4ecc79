// What compiling a plugin takes, whichever its interface.

import { MortiseError, printable } from "../api/errors.ts";
import type { ResolvedLimits } from "../api/limits.ts";
import type { ParsedModule } from "../wasm/module-reader.ts";
import type { HostFunctions, ProvidedFunctions } from "./guest.ts";

/** The binary of one module of a plugin. */
export interface ModuleSource {
  /** `main` for the one whose functions can be called. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A module that was read. */
export interface NamedModule {
  readonly name: string;
  readonly module: ParsedModule;
}

/** What compiling needs to know of a plugin. */
export interface CompileOptions {
  readonly plugin: string;
  readonly limits: ResolvedLimits;
  readonly hostFunctions: HostFunctions;
  readonly provided: ProvidedFunctions;
  /** Let modules use the garbage-collected heap; only in a process of their own. */
  readonly gc?: "allow" | "refuse";
}

/** Compiles a binary. @throws MortiseError MORTISE_WASM_INVALID */
export async function compileBytes(bytes: Uint8Array<ArrayBuffer>, source: string): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(bytes);
  } catch (error) {
    throw new MortiseError("MORTISE_WASM_INVALID", { source, reason: engineReason(error) }, error);
  }
}

/** The engine's text without its prefix and without the offset, which is one in the rewritten module. */
function engineReason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return printable(text.replace(/^WebAssembly\.\w+\(\): /, "").replace(/ @\+\d+$/, ""));
}
