// Builds the guests into guests/prebuilt: `npm run guests [-- name…]`, all of them without a name.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { entryFor, PREBUILT_FOLDER, readManifest, readSources, writeManifest, type ManifestEntry } from "./guests-manifest.ts";
import { GUESTS, guestNamed, LANGUAGES, sourcePaths, type Guest, type Language } from "./guests-table.ts";
import { openAssemblyScript } from "./toolchain-assemblyscript.ts";
import { openC } from "./toolchain-c.ts";
import { openGo } from "./toolchain-go.ts";
import { isMissing, type Toolchain, type ToolchainState } from "./toolchain-interface.ts";
import { openRust } from "./toolchain-rust.ts";

const OPENERS: Readonly<Record<Language, () => Promise<ToolchainState>>> = {
  assemblyscript: openAssemblyScript,
  c: openC,
  rust: openRust,
  go: openGo,
};

/** The compiler of a language, fetched if need be, or why it cannot be had. */
export function openToolchain(language: Language): Promise<ToolchainState> {
  return OPENERS[language]();
}

export function compileGuest(guest: Guest, toolchain: Toolchain): Promise<Uint8Array> {
  const entry = sourcePaths(guest)[0] ?? guest.name;
  return toolchain.compile({ entry, sources: readSources(guest), flags: guest.flags });
}

/** Builds what can be built and returns how many guests were skipped. */
async function buildAll(guests: readonly Guest[]): Promise<number> {
  mkdirSync(PREBUILT_FOLDER, { recursive: true });
  const built: Record<string, ManifestEntry> = {};
  let skipped = 0;
  for (const language of LANGUAGES) {
    const wanted = guests.filter((guest) => guest.language === language);
    if (wanted.length === 0) continue;
    const toolchain = await openToolchain(language);
    if (isMissing(toolchain)) {
      console.error(`Skipped ${wanted.map((guest) => guest.name).join(", ")}: no ${language} compiler, ${toolchain.missing}`);
      skipped += wanted.length;
      continue;
    }
    for (const guest of wanted) built[`${guest.name}.wasm`] = await build(guest, toolchain);
  }
  const known = existsSync(join(PREBUILT_FOLDER, "manifest.json")) ? readManifest() : {};
  writeManifest({ ...known, ...built });
  return skipped;
}

async function build(guest: Guest, toolchain: Toolchain): Promise<ManifestEntry> {
  const wasm = await compileGuest(guest, toolchain);
  writeFileSync(join(PREBUILT_FOLDER, `${guest.name}.wasm`), wasm);
  console.log(`${guest.name}.wasm  ${wasm.length} bytes  ${toolchain.version}`);
  return entryFor(guest, toolchain.version, wasm);
}

if (import.meta.main) {
  const names = process.argv.slice(2);
  const skipped = await buildAll(names.length === 0 ? GUESTS : names.map(guestNamed));
  if (skipped > 0) process.exitCode = 1;
}
