// What sets the interfaces apart whose plugins exchange buffers through a memory that they export: names of the allocator's
// functions, what survives a call, and what else there is to import.

import type { ParsedModule } from "../../wasm/module-reader.ts";
import type { AbiName, ProvidedFunctions } from "../guest.ts";

/** The names by which a module exports its allocator. */
export interface AllocatorNames {
  readonly allocate: string;
  /** Frees a block, if the interface says so and the module exports it. */
  readonly free: string | undefined;
  /** Frees all blocks at once. */
  readonly reset: string | undefined;
}

/** An interface over an exported memory. Results are one i64: the address in the upper half, the length in the lower. */
export interface Dialect {
  readonly abi: AbiName;
  /** Each call gets a new instance: nothing in the plugin's memory or globals outlives it. */
  readonly fresh: boolean;
  /** The allocator is asked for buffers without bytes as well. */
  readonly allocatesNothing: boolean;
  /** Exports of the interface itself, which nobody calls by name. */
  readonly internal: ReadonlySet<string>;
  /** Keys of the one JSON object that a function over several buffers takes apart, by the number of its parameters. */
  readonly parts: Readonly<Record<number, (name: string) => readonly string[]>>;
  /** Export that is given the configuration as JSON when an instance is new; a result other than 0 is a failure. */
  readonly configure: string | undefined;
  /** Export that is called before an instance is dropped. */
  readonly cleanUp: string | undefined;
  /** Functions that modules may import besides those that all plugins may. */
  readonly provided: ProvidedFunctions;
  /** The allocator of a module that has one. */
  allocatorOf(module: ParsedModule): AllocatorNames;
}
