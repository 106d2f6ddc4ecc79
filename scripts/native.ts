// Builds the native plugins into guests/native/prebuilt: `npm run native [-- name…]`, all of them without a name.
// For Linux on x64 alone, with this machine's C compiler and Rust.

import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { GUESTS_FOLDER, sha256 } from "./guests-manifest.ts";
import { NATIVE_GUESTS, type NativeGuest } from "./native-table.ts";

export const NATIVE_FOLDER: string = join(GUESTS_FOLDER, "native");
export const NATIVE_PREBUILT: string = join(NATIVE_FOLDER, "prebuilt");
const MANIFEST_FILE = join(NATIVE_PREBUILT, "manifest.json");
const HEADERS = join(import.meta.dirname, "..", "node_modules", "node-api-headers", "include");

export interface NativeEntry {
  readonly compiler: string;
  readonly flags: readonly string[];
  /** SHA-256 by path relative to guests/native. */
  readonly sources: Readonly<Record<string, string>>;
  readonly sha256: string;
  readonly bytes: number;
}

export function readNativeManifest(): Readonly<Record<string, NativeEntry>> {
  if (!existsSync(MANIFEST_FILE)) return {};
  const parsed: unknown = JSON.parse(readFileSync(MANIFEST_FILE, "utf8"));
  // The file is ours and a test compares every field of it, so its shape is not checked here.
  return parsed as Record<string, NativeEntry>;
}

export function nativeSourceDigests(guest: NativeGuest): Record<string, string> {
  return Object.fromEntries(guest.sources.map((path) => [path, sha256(readFileSync(join(NATIVE_FOLDER, path)))]));
}

/** First line of what the compiler says of itself; undefined if there is none here. */
export function nativeCompiler({ language }: NativeGuest): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64") return undefined;
  try {
    return execFileSync(language === "c" ? "gcc" : "rustc", ["--version"], { encoding: "utf8" }).split("\n")[0];
  } catch {
    return undefined;
  }
}

/** @throws Error with the compiler's messages */
export function compileNativeGuest(guest: NativeGuest): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "guest-native-"));
  try {
    for (const path of guest.sources) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      copyFileSync(join(NATIVE_FOLDER, path), join(folder, path));
    }
    return readFileSync(guest.language === "c" ? buildC(guest, folder) : buildRust(guest, folder));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function buildC({ sources, flags }: NativeGuest, folder: string): string {
  execFileSync("gcc", [...flags, `-I${HEADERS}`, ...sources, "-o", "out.node"], { cwd: folder });
  return join(folder, "out.node");
}

function buildRust({ sources, flags }: NativeGuest, folder: string): string {
  const cwd = join(folder, dirname(sources[0] ?? ""));
  const cargoHome = process.env["CARGO_HOME"] ?? join(homedir(), ".cargo");
  const crates = join(cargoHome, "registry", "src");
  // First of all they have to be there: their folder's name goes into the flags, so that it stays out of the file.
  execFileSync("cargo", ["fetch", "--locked"], { cwd, stdio: "pipe" });
  const remaps = [...readdirSync(crates).map((name) => [join(crates, name), "/crates"]), [cwd, "/plugin"]];
  const rustFlags = [...remaps.map(([from, to]) => `--remap-path-prefix=${from}=${to}`), "-Clink-arg=-Wl,--build-id=none"];
  const env = { ...process.env, CARGO_ENCODED_RUSTFLAGS: rustFlags.join("\x1f") };
  execFileSync("cargo", ["build", ...flags], { cwd, env, stdio: "pipe" });
  const built = join(cwd, "target", "release");
  return join(built, readdirSync(built).find((name) => name.endsWith(".so")) ?? "");
}

function build(guest: NativeGuest): boolean {
  const compiler = nativeCompiler(guest);
  if (compiler === undefined) {
    console.error(`Skipped ${guest.name}: it is built on Linux on x64, with a compiler for ${guest.language}`);
    return false;
  }
  const library = compileNativeGuest(guest);
  mkdirSync(NATIVE_PREBUILT, { recursive: true });
  writeFileSync(join(NATIVE_PREBUILT, guest.name), library);
  const { flags } = guest;
  const entry: NativeEntry = { compiler, flags, sources: nativeSourceDigests(guest), sha256: sha256(library), bytes: library.length };
  const entries = { ...readNativeManifest(), [guest.name]: entry };
  // In the table's order, so that equal builds give equal files.
  const ordered = NATIVE_GUESTS.flatMap(({ name }) => (entries[name] === undefined ? [] : [[name, entries[name]] as const]));
  writeFileSync(MANIFEST_FILE, `${JSON.stringify(Object.fromEntries(ordered), null, 2)}\n`);
  console.log(`${guest.name}  ${library.length} bytes  ${compiler}`);
  return true;
}

if (import.meta.main) {
  const names = process.argv.slice(2);
  const wanted = NATIVE_GUESTS.filter(({ name }) => names.length === 0 || names.includes(name));
  if (wanted.length === 0)
    throw new Error(`There is no native plugin "${names.join(" ")}"; there are ${NATIVE_GUESTS.map(({ name }) => name).join(", ")}`);
  for (const guest of wanted) if (!build(guest)) process.exitCode = 1;
}
