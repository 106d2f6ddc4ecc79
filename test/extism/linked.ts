// Plugins of several modules, from text.

import { type HostFunctions, type Plugin, type PluginOptions, isMortiseError, loadPlugin, type MortiseError } from "../../src/index.ts";
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
