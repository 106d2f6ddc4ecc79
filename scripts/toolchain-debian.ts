// Debian packages unpacked into `.toolchains`, without root and without touching the system's package lists.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const TOOLCHAINS = join(import.meta.dirname, "..", ".toolchains");
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

export interface DebianPackages {
  /** The folder inside `.toolchains`. */
  readonly name: string;
  readonly suite: string;
  readonly packages: readonly string[];
}

export type Unpacked = { readonly root: string } | { readonly missing: string };

export function toolchainFolder(name: string): string {
  return join(TOOLCHAINS, name);
}

/** The root that the packages are unpacked into; fetches them the first time. */
export function unpackDebianPackages(wanted: DebianPackages): Unpacked {
  const folder = toolchainFolder(wanted.name);
  const root = join(folder, "root");
  if (existsSync(root)) return { root };
  const obstacle = whyNotDebian();
  if (obstacle !== undefined) return { missing: obstacle };
  try {
    fetchAndUnpack(wanted, folder, root);
    return { root };
  } catch (error) {
    return { missing: `fetching it failed: ${firstLine(error)}` };
  }
}

function whyNotDebian(): string | undefined {
  const release = "/etc/os-release";
  if (!existsSync(release) || !/^ID=debian$/m.test(readFileSync(release, "utf8"))) return "this machine is not Debian";
  for (const tool of ["/usr/bin/apt-get", "/usr/bin/dpkg"]) {
    if (!existsSync(tool)) return `this machine has no ${tool}`;
  }
  if (!existsSync(KEYRING)) return `this machine has no ${KEYRING}`;
  if (archiveUri() === undefined) return "apt names no archive on this machine";
  return undefined;
}

/** The archive that apt already uses here: the first one that is not for security updates. */
function archiveUri(): string | undefined {
  const parts = "/etc/apt/sources.list.d";
  const files = existsSync(parts) ? readdirSync(parts).map((name) => join(parts, name)) : [];
  const texts = ["/etc/apt/sources.list", ...files.filter((file) => /\.(sources|list)$/.test(file))]
    .filter((file) => existsSync(file))
    .map((file) => readFileSync(file, "utf8"));
  const uris = texts.flatMap((text) => Array.from(text.matchAll(/^(?:URIs:\s*|deb\s+(?:\[[^\]]*\]\s*)?)(\S+)/gm)));
  return uris.map((match) => match[1]).find((uri) => uri !== undefined && /\/debian\/?$/.test(uri));
}

function fetchAndUnpack(wanted: DebianPackages, folder: string, root: string): void {
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(join(folder, "fetch-"));
  try {
    const debs = join(work, "deb");
    const unpacked = join(work, "root");
    for (const made of ["parts", "lists/partial", "archives/partial", "deb"]) {
      mkdirSync(join(work, made), { recursive: true });
    }
    const options = aptOptions(wanted.suite, work);
    run("/usr/bin/apt-get", [...options, "-qq", "update"], debs);
    run("/usr/bin/apt-get", [...options, "-qq", "download", ...wanted.packages], debs);
    for (const deb of readdirSync(debs)) run("/usr/bin/dpkg", ["-x", join(debs, deb), unpacked], debs);
    // Renamed last: a root that exists is whole.
    renameSync(unpacked, root);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function aptOptions(suite: string, work: string): string[] {
  const source = ["Types: deb", `URIs: ${archiveUri()}`, `Suites: ${suite}`, "Components: main", `Signed-By: ${KEYRING}`, ""];
  writeFileSync(join(work, "parts", "suite.sources"), source.join("\n"));
  const settings = [
    "Dir::Etc::sourcelist=/dev/null",
    `Dir::Etc::sourceparts=${join(work, "parts")}`,
    `Dir::State::lists=${join(work, "lists")}`,
    `Dir::Cache::archives=${join(work, "archives")}`,
    "Dir::Cache::pkgcache=",
    "Dir::Cache::srcpkgcache=",
    "APT::Sandbox::User=root",
    // A failed update must be an error here, not a warning about old lists.
    "APT::Update::Error-Mode=any",
    "Acquire::Retries=1",
    "Acquire::http::Timeout=20",
  ];
  return settings.flatMap((setting) => ["-o", setting]);
}

function run(command: string, args: readonly string[], cwd: string): void {
  execFileSync(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"], encoding: "utf8" });
}

function firstLine(error: unknown): string {
  const output = (error as { stderr?: unknown }).stderr;
  const text = typeof output === "string" && output.trim() !== "" ? output : String(error);
  return text.trim().split("\n")[0] ?? "";
}
