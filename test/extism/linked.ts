// Plugins of several modules, from text.

import {
  type CallContext,
  type HostFunctions,
  type Plugin,
  type PluginOptions,
  isMortiseError,
  loadPlugin,
  type MortiseError,
} from "../../src/index.ts";
import { assembleText } from "../wasm/assemble.ts";

/** Text modules by name. */
export type Modules = Readonly<Record<string, string>>;

/** Host functions of any behaviour, by module and name. */
type AnyFunctions = Readonly<Record<string, Readonly<Record<string, (...values: never[]) => unknown>>>>;

/** Loads a plugin of these modules, in this order. */
export async function openLinked(modules: Modules, hostFunctions: AnyFunctions = {}, options: PluginOptions = {}): Promise<Plugin> {
  const wasm = await Promise.all(Object.entries(modules).map(async ([name, text]) => ({ name, data: await assembleText(name, text) })));
  return loadPlugin({ wasm }, { name: "guest", ...options, hostFunctions: hostFunctions as HostFunctions });
}

/** The error that loading these modules gives. */
export async function refusalOf(modules: Modules, hostFunctions: AnyFunctions = {}, options: PluginOptions = {}): Promise<MortiseError> {
  try {
    await openLinked(modules, hostFunctions, options);
  } catch (error) {
    if (isMortiseError(error)) return error;
    throw error;
  }
  throw new Error("the plugin was loaded");
}

/** Code of the error that work throws, or what it gives. */
export async function codeOf(work: () => unknown): Promise<unknown> {
  try {
    return await work();
  } catch (error) {
    return isMortiseError(error) ? error.code : error;
  }
}

/** Shows the host a number. */
export const SEE = `(import "host" "see" (func $see (param i32)))`;

/** A main module whose `f` calls `run` of the module "lib". */
export const CALL_LIB = `(module (import "lib" "run" (func $run)) (func (export "f") (call $run)))`;

/** What a guest showed the host, and the functions for that. */
export interface Seeing {
  readonly seen: number[];
  readonly host: { readonly host: { readonly see: (context: CallContext, value: number) => void } };
}

export function seeing(): Seeing {
  const seen: number[] = [];
  return { seen, host: { host: { see: (_context, value) => void seen.push(value) } } };
}
