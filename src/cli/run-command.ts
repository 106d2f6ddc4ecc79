// `mortise run`: runs a WASI program with the standard streams of this process.

import { basename } from "node:path";

import { DEFAULT_LIMITS } from "../api/limits.ts";
import { type MortiseError, type Plugin, isMortiseError } from "../index.ts";
import { assemblePlugin } from "../loader/load-plugin.ts";
import type { ResolvedManifest } from "../manifest/manifest.ts";
import { readManifest } from "../manifest/read-manifest.ts";
import { readModule } from "../wasm/module-reader.ts";
import type { CallStats } from "./call-report.ts";
import { EXIT, exitCodeOf, toMortiseError, usageError } from "./failure.ts";
import { printNote, refusedGrants } from "./notes.ts";
import type { FolderGrant } from "./option-values.ts";
import { type PluginFlags, limitsOf, permissionsOf } from "./plugin-flags.ts";
import { type ProcessInput, openInput, streamWriter } from "./process-streams.ts";
import { type RunOutcome, printRun } from "./run-report.ts";
import { visible } from "./terminal.ts";

/** Options of the command as commander gives them. */
export interface RunFlags extends PluginFlags {
  readonly dir?: readonly FolderGrant[];
}

/** Function that a WASI program begins with. */
const ENTRY = "_start";
/** Bytes of output that one JSON object holds. */
const JSON_OUTPUT_BYTES = 16 << 20;
/** Exit code for those of a program that a process cannot have. */
const OTHER_EXIT = 255;
const NAMES_SHOWN = 8;

/** Runs the command and returns the exit code: that of the program, if it came to an end by itself. */
export async function runCommand(file: string, args: readonly string[], flags: RunFlags): Promise<number> {
  const written: Uint8Array[] = [];
  const outcome = await runOnce(file, args, flags, written);
  await printRun(outcome, Buffer.concat(written), flags);
  return outcome.ok ? outcome.exitCode : exitCodeOf(outcome.error);
}

async function runOnce(file: string, args: readonly string[], flags: RunFlags, written: Uint8Array[]): Promise<RunOutcome> {
  const began = performance.now();
  const input = openInput();
  let plugin: Plugin | undefined;
  let loaded = began;
  const stats = (): { readonly stats?: CallStats } => {
    if (plugin === undefined) return {};
    const { fuel, memory } = plugin.stats();
    return { stats: { loadMs: loaded - began, callMs: performance.now() - loaded, fuel: fuel.last, memoryBytes: memory.peak } };
  };
  try {
    const manifest = await readManifest(file, { maxBytes: DEFAULT_LIMITS.moduleBytes });
    refuseOthers(file, manifest);
    plugin = await load(file, args, manifest, input, flags, written);
    loaded = performance.now();
    await plugin.call(ENTRY);
    return { ok: true, exitCode: EXIT.ok, ...stats() };
  } catch (error) {
    const exitCode = exitCodeOfProgram(error);
    if (exitCode !== undefined) return { ok: true, exitCode, ...stats() };
    return { ok: false, error: toMortiseError(error), ...stats() };
  } finally {
    input.close();
    await plugin?.close();
  }
}

/** Says what a module is for that is no program, before anything of it runs. */
function refuseOthers(file: string, { modules }: ResolvedManifest): void {
  const main = modules.find(({ name }) => name === "main");
  if (main === undefined) return;
  const { exports } = readModule(main.bytes, main.source);
  const functions = exports.filter(({ kind }) => kind === "function").map(({ name }) => name);
  if (functions.includes(ENTRY)) return;
  const shown = visible(functions.slice(0, NAMES_SHOWN).join(", "));
  const more = functions.length > NAMES_SHOWN ? ` and ${functions.length - NAMES_SHOWN} more` : "";
  throw usageError(
    `cannot run "${visible(file)}": it is no WASI program, since it exports no ${ENTRY}`,
    functions.length === 0 ? undefined : `mortise call calls a function of a plugin; it has ${shown}${more}`,
  );
}

async function load(
  file: string,
  args: readonly string[],
  manifest: ResolvedManifest,
  input: ProcessInput,
  flags: RunFlags,
  written: Uint8Array[],
): Promise<Plugin> {
  const timeoutMs = flags.timeoutMs ?? manifest.timeoutMs ?? Number.POSITIVE_INFINITY;
  const deadline = performance.now() + timeoutMs;
  const isLate = (): boolean => performance.now() > deadline;
  const given = { hosts: undefined, folders: flags.dir, manifestGrants: flags.manifestGrants };
  const refused = refusedGrants(manifest, given);
  if (refused !== undefined) printNote(refused);
  return assemblePlugin(manifest, {
    limits: { ...limitsOf(flags), timeoutMs },
    permissions: permissionsOf(given),
    isolation: flags.isolation,
    wasi: {
      args: [basename(file), ...args],
      env: flags.env ?? {},
      terminal: process.stdout.isTTY && flags.json !== true,
      stdin: { read: (maxBytes) => input.read(maxBytes) },
      stdout: flags.json === true ? (bytes) => void written.push(bytes) : streamWriter(1, isLate),
      stderr: streamWriter(2, isLate),
      outputBytes: flags.json === true ? JSON_OUTPUT_BYTES : Number.MAX_SAFE_INTEGER,
    },
  });
}

/** What the program said when it ended itself; undefined if it was stopped. A failure never becomes a success. */
function exitCodeOfProgram(error: unknown): number | undefined {
  if (!isMortiseError(error) || error.code !== ("MORTISE_EXIT" satisfies MortiseError["code"])) return undefined;
  const exitCode = Number(error.details["exitCode"]);
  return exitCode >= 0 && exitCode < OTHER_EXIT ? exitCode : OTHER_EXIT;
}
