// Compiles a plugin for the interface it speaks.

import { MortiseError, isMortiseError } from "../api/errors.ts";
import { type WasmAbi, detectInterface, missingFor } from "../wasm/detect.ts";
import { type ParsedModule, readModule } from "../wasm/module-reader.ts";
import type { CompileOptions, ModuleSource, NamedModule } from "./compile-options.ts";
import { compileExtism, exportTable } from "./extism/compile.ts";
import type { CompiledGuest, ExportTable } from "./guest.ts";
import { BIFROST } from "./linear/bifrost.ts";
import { compileLinear, linearExports } from "./linear/compile.ts";
import type { Dialect } from "./linear/dialect.ts";
import { HELIOS } from "./linear/helios.ts";

const DIALECTS: Readonly<Record<WasmAbi, Dialect | undefined>> = { extism: undefined, querymt: undefined, bifrost: BIFROST, helios: HELIOS };

/**
 * Reads the modules of a plugin.
 *
 * @throws MortiseError MORTISE_NOT_WASM, MORTISE_WASM_TEXT, MORTISE_WASM_COMPONENT, MORTISE_WASM_MALFORMED or
 *   MORTISE_WASM_UNSUPPORTED
 */
export function readModules(sources: readonly ModuleSource[], plugin: string): NamedModule[] {
  return forPlugin(plugin, () =>
    sources.map(({ name, bytes }) => ({
      name,
      module: readModule(bytes, sources.length > 1 ? `module "${name}" of plugin "${plugin}"` : `plugin "${plugin}"`),
    })),
  );
}

/**
 * The interface to load a module with.
 *
 * @param asked the one that the user asks for, which the module has to fit
 * @throws MortiseError MORTISE_ABI_MISMATCH
 */
export function chooseAbi(module: ParsedModule, plugin: string, asked?: WasmAbi): WasmAbi {
  if (asked === undefined) {
    const { name } = detectInterface(module);
    return name === "raw" || name === "wasi-command" ? "extism" : name;
  }
  const missing = missingFor(asked, module);
  if (missing.length > 0) throw new MortiseError("MORTISE_ABI_MISMATCH", { plugin, abi: asked, missing: missing.join(", ") });
  return asked;
}

/** Compiles a plugin. @throws MortiseError what reading, rewriting and linking throw */
export async function compileGuest(abi: WasmAbi, sources: readonly ModuleSource[], options: CompileOptions): Promise<CompiledGuest> {
  return compileModules(abi, readModules(sources, options.plugin), options);
}

/** {@link compileGuest} for modules that were read already. */
export async function compileModules(abi: WasmAbi, modules: readonly NamedModule[], options: CompileOptions): Promise<CompiledGuest> {
  const dialect = DIALECTS[abi];
  try {
    if (dialect !== undefined) return await compileLinear(dialect, modules, options);
    return { ...(await compileExtism(modules, options)), abi };
  } catch (error) {
    throw named(error, options.plugin);
  }
}

/** What a plugin of an interface exports, for those who want to call it. */
export function exportsOf(abi: WasmAbi, module: ParsedModule): ExportTable {
  const dialect = DIALECTS[abi];
  return dialect === undefined ? exportTable(module) : linearExports(dialect, module);
}

function forPlugin<T>(plugin: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw named(error, plugin);
  }
}

/** Reading and rewriting know the module alone. */
function named(error: unknown, plugin: string): unknown {
  return isMortiseError(error) ? new MortiseError(error.code, { ...error.details, plugin }, error.cause) : error;
}
