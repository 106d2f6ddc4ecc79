// Plugins that call each other, and a host for them.

import { readFile } from "node:fs/promises";

import { type MortiseError, isMortiseError } from "../../src/api/errors.ts";
import type { HookDefinitions } from "../../src/hooks/definition.ts";
import type { Plugin } from "../../src/host/plugin.ts";
import { type Host, createHost } from "../../src/manager/create-host.ts";
import type { LoadOptions } from "../../src/manager/host-plugins.ts";
import type { PluginCallOptions } from "../../src/manager/plugin-calls/options.ts";

/** The bytes of a prebuilt guest. */
export async function prebuilt(name: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await readFile(new URL(`../../guests/prebuilt/${name}.wasm`, import.meta.url)));
}

export type CallsHost = Host<HookDefinitions>;

/** A host without hooks. */
export function openHost(pluginCalls: PluginCallOptions = {}): Promise<CallsHost> {
  return createHost<HookDefinitions>({ hooks: {}, pluginCalls });
}

/** Loads a guest that calls others, `calls.c` if nothing is said: it may call what `call` grants. */
export async function loadCaller(
  host: CallsHost,
  name: string,
  call: readonly string[],
  options: LoadOptions = {},
  guest = "calls.c",
): Promise<Plugin> {
  return host.plugins.load(await prebuilt(guest), { name, ...options, permissions: { call, ...options.permissions } });
}

/** The message by which `call` of the guests that call others is told what to do. */
export function message(plugin: string, fn: string, input = ""): string {
  return `${plugin}\n${fn}\n${input}`;
}

/** The message for a way through several plugins, the last of which gets an input: each calls the next. */
export function through(path: readonly (readonly [plugin: string, fn: string])[], input = ""): string {
  return path.reduceRight((rest, [plugin, fn]) => message(plugin, fn, rest), input);
}

/** What a call fails with. */
export async function failureOf(work: Promise<unknown>): Promise<MortiseError> {
  try {
    await work;
  } catch (error) {
    if (isMortiseError(error)) return error;
    throw error;
  }
  throw new Error("it did not fail");
}
