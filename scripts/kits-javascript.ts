// The plugin in JavaScript: QuickJS from Debian's source package, the script as text, and one export for each function.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { openC } from "./toolchain-c.ts";
import { toolchainFolder } from "./toolchain-debian.ts";
import { isMissing, type Compilation, type ToolchainState } from "./toolchain-interface.ts";

const VERSION = "2025-04-26";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const UNITS = ["quickjs.c", "cutils.c", "libregexp.c", "libunicode.c", "dtoa.c"];
const HEADERS = /\.h$/;

/** Emscripten's branches of QuickJS do without threads and without looking for the stack. */
const FLAGS = [
  "--target=wasm32-wasip1",
  "-std=gnu17",
  "-Os",
  "-D_GNU_SOURCE",
  "-DEMSCRIPTEN",
  `-DCONFIG_VERSION="${VERSION}"`,
  "-I.",
  "-mexec-model=reactor",
  "-Wl,--strip-all",
  "-Wl,-z,stack-size=1048576",
];

export async function openKitJavaScript(): Promise<ToolchainState> {
  let source: string;
  try {
    source = quickJs();
  } catch (error) {
    return { missing: `fetching QuickJS failed: ${String(error).split("\n")[0] ?? ""}` };
  }
  const c = await openC();
  if (isMissing(c)) return c;
  return { version: c.version, compile: (compilation) => c.compile(withEngine(compilation, source)) };
}

function withEngine({ sources }: Compilation, folder: string): Compilation {
  const files = readdirSync(folder).filter((file) => UNITS.includes(file) || HEADERS.test(file));
  const text = (name: string): string => sources.get(name) ?? "";
  const all = new Map(files.map((file) => [file, readFileSync(join(folder, file), "utf8")]));
  all.set("engine.c", text("engine.c"));
  all.set("script.h", `${literal("prelude_text", text("prelude.js"))}${literal("script_text", text("plugin.js"))}`);
  all.set("interface.h", interfaceHeader(text("plugin.d.ts")));
  // QuickJS includes it and uses nothing of it; the library's own asks for exceptions.
  all.set("setjmp.h", "");
  return { entry: "engine.c", sources: all, flags: [...FLAGS, ...UNITS, "-lm"] };
}

function literal(name: string, text: string): string {
  const lines = text.split("\n").map((line) => `  "${line.replaceAll(/["\\]/g, String.raw`\$&`)}\\n"`);
  return `static const char ${name}[] =\n${lines.join("\n")};\n`;
}

/** Exports and imports in C, from the plugin's declarations. */
function interfaceHeader(declarations: string): string {
  const exported = Array.from(declarations.matchAll(/export function (\w+)\(\): I32;/g), ([, name]) => name ?? "");
  const imported = Array.from(declarations.matchAll(/^ {4}(\w+)\(\w+: PTR\): PTR;/gm), ([, name]) => name ?? "");
  return [
    "#include <stdbool.h>",
    "#include <stdint.h>",
    "int32_t call_script(const char *name);",
    ...exported.map((name) => `__attribute__((export_name("${name}"))) int32_t script_${name}(void) { return call_script("${name}"); }`),
    ...imported.map((name) => `__attribute__((import_module("extism:host/user"), import_name("${name}"))) extern uint64_t user_${name}(uint64_t);`),
    `#define HOST_FUNCTION_COUNT ${imported.length}`,
    `static uint64_t (*const host_functions[])(uint64_t) = {${imported.map((name) => `user_${name}`).join(", ")}};`,
    `static const char *const host_function_names[] = {${imported.map((name) => `"${name}"`).join(", ")}};`,
    "",
  ].join("\n");
}

/** The folder of QuickJS's sources; fetched the first time, from the archive that apt uses here. */
function quickJs(): string {
  const folder = toolchainFolder("kits-quickjs");
  const unpacked = join(folder, "source");
  if (existsSync(unpacked)) return unpacked;
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(join(folder, "fetch-"));
  try {
    for (const made of ["parts", "lists/partial", "archives/partial", "source"]) mkdirSync(join(work, made), { recursive: true });
    const lines = ["Types: deb-src", `URIs: ${archive()}`, "Suites: trixie", "Components: main", `Signed-By: ${KEYRING}`, ""];
    writeFileSync(join(work, "parts", "suite.sources"), lines.join("\n"));
    const settings = [
      "Dir::Etc::sourcelist=/dev/null",
      `Dir::Etc::sourceparts=${join(work, "parts")}`,
      `Dir::State::lists=${join(work, "lists")}`,
      `Dir::Cache::archives=${join(work, "archives")}`,
      "Dir::Cache::pkgcache=",
      "Dir::Cache::srcpkgcache=",
      "APT::Sandbox::User=root",
      "APT::Update::Error-Mode=any",
    ].flatMap((setting) => ["-o", setting]);
    const run = (command: string, args: readonly string[]): void => {
      execFileSync(command, args, { cwd: work, stdio: ["ignore", "pipe", "pipe"] });
    };
    run("/usr/bin/apt-get", [...settings, "-qq", "update"]);
    run("/usr/bin/apt-get", [...settings, "-qq", "source", "--download-only", "quickjs"]);
    const archived = readdirSync(work).find((file) => file.includes(".orig.tar."));
    if (archived === undefined) throw new Error("the source package has no archive");
    run("tar", ["-xf", archived, "-C", "source", "--strip-components=1"]);
    const version = readFileSync(join(work, "source", "VERSION"), "utf8").trim();
    if (version !== VERSION) throw new Error(`the suite has QuickJS ${version}, not ${VERSION}`);
    renameSync(join(work, "source"), unpacked);
    return unpacked;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function archive(): string {
  const sources = "/etc/apt/sources.list.d/debian.sources";
  const found = /^URIs:\s*(\S+\/debian\/?)$/m.exec(existsSync(sources) ? readFileSync(sources, "utf8") : "")?.[1];
  if (found === undefined) throw new Error("apt names no archive on this machine");
  return found;
}
