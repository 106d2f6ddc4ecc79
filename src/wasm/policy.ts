// Refuses valid modules that this process could not contain.

import { MortiseError } from "../api/errors.ts";
import type { ParsedModule } from "./module-reader.ts";
import type { ScanResult } from "./scan.ts";

/** What a module may have; every limit applies before any of its code runs. */
export interface ModuleLimits {
  /** Memories, imported and defined. @default 8 */
  readonly memories?: number;
  /** Tables, imported and defined. @default 64 */
  readonly tables?: number;
  /** Bytes of one function body: it is compiled at its first call, when nothing can interrupt. @default 1 MiB */
  readonly functionBytes?: number;
  /** Live values (locals and operands) at each branch and merge of one function, added up. @default 2 million */
  readonly functionComplexity?: number;
  /** `"allow"` lets a module allocate on the garbage-collected heap, which no limit covers. @default "refuse" */
  readonly gc?: "allow" | "refuse";
  /** `"allow"` lets a module use shared memories and atomic waits, which can block the thread. @default "refuse" */
  readonly threads?: "allow" | "refuse";
}

export const DEFAULT_MODULE_LIMITS: Required<ModuleLimits> = {
  memories: 8,
  tables: 64,
  functionBytes: 1 << 20,
  functionComplexity: 2_000_000,
  gc: "refuse",
  threads: "refuse",
};

/** Every reason to refuse a scanned module, in order of severity. */
export function refusals(module: ParsedModule, scan: ScanResult, limits: Required<ModuleLimits>): MortiseError[] {
  const { source } = module;
  const found: MortiseError[] = [];
  if (module.memories.length > limits.memories) {
    found.push(new MortiseError("MORTISE_TOO_MANY_MEMORIES", { source, count: module.memories.length, limit: limits.memories }));
  }
  if (module.tables.length > limits.tables) {
    found.push(new MortiseError("MORTISE_TOO_MANY_TABLES", { source, count: module.tables.length, limit: limits.tables }));
  }
  for (const { kind, what, offset } of module.hazards) {
    if (kind === "shared-memory" && limits.threads === "refuse") found.push(new MortiseError("MORTISE_SHARED_MEMORY", { source, what, offset }));
    if (kind === "gc-heap" && limits.gc === "refuse") found.push(new MortiseError("MORTISE_GC_HEAP", { source, what, offset }));
  }
  for (let body = 0; body < scan.codeStart.length; body++) {
    const index = module.importedFunctions + body;
    const size = (module.bodies[body * 2 + 1] as number) - (module.bodies[body * 2] as number);
    if (size > limits.functionBytes) {
      found.push(
        new MortiseError("MORTISE_FUNCTION_TOO_LARGE", { source, index, what: "bytes", size, limit: limits.functionBytes, option: "functionBytes" }),
      );
    }
    const complexity = Math.floor(scan.complexity[body] as number);
    if (complexity > limits.functionComplexity) {
      found.push(
        new MortiseError("MORTISE_FUNCTION_TOO_LARGE", {
          source,
          index,
          what: "complexity",
          size: complexity,
          limit: limits.functionComplexity,
          option: "functionComplexity",
        }),
      );
    }
  }
  return found;
}
