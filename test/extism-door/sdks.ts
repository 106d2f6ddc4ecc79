// The package that the door stands in for, in both versions, and the door: one shape, so that one case runs on all.

import { readFileSync } from "node:fs";

import { createPlugin } from "mortise/extism";

import { assembleText } from "../wasm/assemble.ts";

/** An output, as far as cases look at it. */
export interface SdkOutput extends DataView<ArrayBuffer> {
  text(): string;
  string(): string;
  json(): unknown;
  bytes(): Uint8Array;
  arrayBuffer(): ArrayBuffer;
}

/** First argument of host functions. */
export interface SdkContext {
  read(address: bigint | number): SdkOutput | null;
  store(input: unknown): bigint;
  alloc(size: bigint | number): bigint;
  length(address: bigint | number): bigint;
  getVariable(name: string): SdkOutput | null;
  setVariable(name: string, value: unknown): unknown;
  deleteVariable(name: string): void;
  setError(error?: unknown): void;
  hostContext(): unknown;
  logLevel: string;
}

/** A plugin. */
export interface SdkPlugin {
  call(name: unknown, input?: unknown, context?: unknown): Promise<SdkOutput | null>;
  functionExists(name: unknown): Promise<boolean>;
  getExports(name?: string): Promise<WebAssembly.ModuleExportDescriptor[]>;
  getImports(name?: string): Promise<WebAssembly.ModuleImportDescriptor[]>;
  getInstance(name?: string): Promise<WebAssembly.Instance>;
  isActive(): boolean;
  reset(): Promise<boolean>;
  close(): Promise<void>;
}

/** createPlugin, of whatever package. */
export type Create = (manifest: unknown, options?: Record<string, unknown>) => Promise<SdkPlugin>;

// node:wasi, which the package loads, warns that it is experimental.
process.removeAllListeners("warning");
const { default: newest } = await import("@extism/extism");
const { default: first } = await import("extism-v1");

export const door = createPlugin as unknown as Create;
/** 2.0.0-rc13. */
export const v2 = newest as unknown as Create;
/** 1.0.3. */
export const v1 = first as unknown as Create;

/** Path of a built guest. */
export function guestPath(name: string): string {
  return new URL(`../../guests/prebuilt/${name}.wasm`, import.meta.url).pathname;
}

/** Bytes of a built guest. */
export function guestBytes(name: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(guestPath(name)));
}

/** Bytes of a text module, in a buffer that has nothing else. */
export async function assemble(text: string): Promise<Uint8Array<ArrayBuffer>> {
  return (await assembleText("guest.wat", text)).slice();
}

/** Host functions that the fixtures need; the block goes back as it came. */
export const REFLECT = { "extism:host/user": { host_reflect: (_context: unknown, address: bigint): bigint => address } } as const;

/** The fixtures with a host function of the case's own. */
export function fixtures(
  create: Create,
  reflect: (context: SdkContext, address: bigint) => unknown,
  options: Record<string, unknown> = {},
): Promise<SdkPlugin> {
  return create(guestPath("fixtures.c"), { functions: { "extism:host/user": { host_reflect: reflect } }, ...options });
}
