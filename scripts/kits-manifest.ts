// The record of what each kit's plugin was made from: guests/kits/prebuilt/manifest.json.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { sha256 } from "./guests-manifest.ts";
import { KITS, KITS_FOLDER, type Kit, readKitSources } from "./kits-table.ts";

const PREBUILT = join(KITS_FOLDER, "prebuilt");
const MANIFEST_FILE = join(PREBUILT, "manifest.json");

export interface KitEntry {
  readonly kit: string;
  readonly compiler: string;
  /** SHA-256 by the name that the compiler sees. */
  readonly sources: Readonly<Record<string, string>>;
  readonly sha256: string;
  readonly bytes: number;
}

export function readKitManifest(): Readonly<Record<string, KitEntry>> {
  if (!existsSync(MANIFEST_FILE)) return {};
  const parsed: unknown = JSON.parse(readFileSync(MANIFEST_FILE, "utf8"));
  // The file is ours and a test compares every field of it, so its shape is not checked here.
  return parsed as Record<string, KitEntry>;
}

export function readKitPrebuilt(kit: Kit): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(readFileSync(join(PREBUILT, `${kit.name}.wasm`)));
}

export function kitEntry(kit: Kit, compiler: string, wasm: Uint8Array): KitEntry {
  const sources = Object.fromEntries([...readKitSources(kit)].map(([name, text]) => [name, sha256(text)]));
  return { kit: kit.kit, compiler, sources, sha256: sha256(wasm), bytes: wasm.length };
}

/** Replaces a prebuilt module and its entry; entries stay in the table's order. */
export function writeKit(kit: Kit, compiler: string, wasm: Uint8Array): void {
  mkdirSync(PREBUILT, { recursive: true });
  writeFileSync(join(PREBUILT, `${kit.name}.wasm`), wasm);
  const entries = { ...readKitManifest(), [kit.name]: kitEntry(kit, compiler, wasm) };
  const ordered = KITS.flatMap(({ name }) => (entries[name] === undefined ? [] : [[name, entries[name]] as const]));
  writeFileSync(MANIFEST_FILE, `${JSON.stringify(Object.fromEntries(ordered), null, 2)}\n`);
}
