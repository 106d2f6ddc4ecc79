// Says why a library is no plugin that Node.js can load, before any of its code runs.

import { readElfSymbols } from "./elf.ts";

/** What tells the kinds of libraries apart: symbols, and names that begin so. */
const NODE_API = ["napi_register_module_v*", "napi_module_register"] as const;
const TRAIT_OBJECTS = ["plugin_factory", "plugin_http_factory"] as const;
const V8_ADDON = ["node_register_module_v*", "node_module_register"] as const;
const GO_PLUGIN = ["go:*", "go.plugin.*"] as const;
const SYMBOLS: readonly string[] = [...NODE_API, ...TRAIT_OBJECTS, ...V8_ADDON, ...GO_PLUGIN];

/** `e_machine` by name of the architecture in Node.js. */
const MACHINES: Readonly<Record<string, number>> = {
  arm: 40,
  arm64: 183,
  ia32: 3,
  loong64: 258,
  ppc64: 21,
  riscv64: 243,
  s390x: 22,
  x64: 62,
};

type Format = "ELF" | "Mach-O" | "PE";

/** Where the process runs. */
export interface Machine {
  readonly platform: string;
  readonly arch: string;
}

/**
 * Why these bytes are no Node-API addon for this machine; undefined if they are one.
 *
 * @returns a reason, as half a sentence that begins with "it"
 */
export function whyNoAddon(bytes: Uint8Array, machine: Machine = process): string | undefined {
  const format = formatOf(bytes);
  if (format === undefined) return "it is no shared library";
  const wanted = nativeFormat(machine.platform);
  if (format !== wanted) return `it is a library in the format ${format}, and ${machine.platform} loads ${wanted}`;
  if (format !== "ELF") return whyNoPlugin((names) => names.some((name) => holdsName(bytes, name)));
  try {
    const { machine: found, defined, wanted: imported } = readElfSymbols(bytes, SYMBOLS);
    const own = MACHINES[machine.arch];
    if (own !== undefined && found !== own) return `it is built for ${nameOf(found)}, and this process runs on ${machine.arch}`;
    // Addons of old register themselves with a call, and so import what they need for it.
    return whyNoPlugin((names) => names.some((name) => defined.has(name) || (name === "napi_module_register" && imported.has(name))));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    // What the engine says of a read beyond the end is no reason that helps.
    return `its symbols cannot be read: ${error.message.startsWith("it") ? error.message : "it is cut off or broken"}`;
  }
}

function whyNoPlugin(has: (names: readonly string[]) => boolean): string | undefined {
  if (has(NODE_API)) return undefined;
  if (has(TRAIT_OBJECTS))
    return "it hands out Rust trait objects (plugin_factory), which only the very compiler and crates that it was built with can use; build its provider as WebAssembly, or as a Node-API addon with napi-rs";
  if (has(GO_PLUGIN)) return "it is a Go plugin, which only a Go program of the same build can load; build it as WebAssembly";
  if (has(V8_ADDON)) return "it is an addon for one version of V8; build it with Node-API";
  return "it is no Node-API addon: it has no symbol napi_register_module_v1";
}

function formatOf(bytes: Uint8Array): Format | undefined {
  if (bytes.length < 64) return undefined;
  const magic = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  if (magic === 0x7f45_4c46) return "ELF";
  if ([0xfeed_face, 0xfeed_facf, 0xcefa_edfe, 0xcffa_edfe, 0xcafe_babe, 0xcafe_babf].includes(magic)) return "Mach-O";
  return magic >>> 16 === 0x4d5a ? "PE" : undefined;
}

function nativeFormat(platform: string): Format {
  if (platform === "win32") return "PE";
  return platform === "darwin" ? "Mach-O" : "ELF";
}

function nameOf(machine: number): string {
  return Object.entries(MACHINES).find(([, number]) => number === machine)?.[0] ?? `machine ${machine}`;
}

/** A search for the name anywhere: good enough for a reason, where the table of symbols is not read. */
function holdsName(bytes: Uint8Array, name: string): boolean {
  const text = name.endsWith("*") ? name.slice(0, -1) : `${name}\0`;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(text);
}
