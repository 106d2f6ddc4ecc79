// `mortise call`: loads a plugin and calls one function of it, once.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";

import { DEFAULT_LIMITS } from "../api/limits.ts";
import {
  type AbiName,
  type LogLevel,
  type Logger,
  type MortiseError,
  type Permissions,
  type Plugin,
  type PluginInput,
  type PluginOptions,
  loadPlugin,
} from "../index.ts";
import { isArtefact, readBeside } from "../loader/helios.ts";
import { nativePath } from "../loader/load-native.ts";
import { assemblePlugin, mergeLimits } from "../loader/load-plugin.ts";
import { readManifest } from "../manifest/read-manifest.ts";
import { type CallOutcome, type CallStats, printOutcome } from "./call-report.ts";
import { EXIT, exitCodeOf, toMortiseError } from "./failure.ts";
import { type InputFlags, type NamedInput, nameInput, readInput } from "./guest-input.ts";
import { printNote, refusedGrants } from "./notes.ts";
import type { FolderGrant } from "./option-values.ts";
import { type PluginFlags, limitsOf, permissionsOf } from "./plugin-flags.ts";
import { paint, visible } from "./terminal.ts";

/** Levels that `--log-level` takes. */
export const LOG_CHOICES = ["trace", "debug", "info", "warn", "error", "off"] as const satisfies readonly (LogLevel | "off")[];

/** Function that a WASI program begins with. */
const ENTRY = "_start";

/** Options of the command as commander gives them. */
export interface CallFlags extends InputFlags, PluginFlags {
  readonly config?: Readonly<Record<string, string>>;
  readonly allowHost?: readonly string[];
  readonly allowPath?: readonly FolderGrant[];
  readonly allowNative?: boolean;
  readonly grant?: Permissions;
  readonly abi?: AbiName;
  readonly logLevel: (typeof LOG_CHOICES)[number];
}

/** Runs the command and returns the exit code. */
export async function callCommand(file: string, fn: string, flags: CallFlags): Promise<number> {
  const outcome = await callOnce(file, fn, nameInput(flags), flags);
  await printOutcome(outcome, flags);
  return outcome.ok ? EXIT.ok : exitCodeOf(outcome.error);
}

async function callOnce(file: string, fn: string, input: NamedInput, flags: CallFlags): Promise<CallOutcome> {
  const began = performance.now();
  let plugin: Plugin;
  let memoryBytes: number;
  try {
    ({ plugin, memoryBytes } = await load(file, flags));
  } catch (error) {
    return { ok: false, error: toMortiseError(error) };
  }
  const loadMs = performance.now() - began;
  try {
    if (fn === ENTRY) printNote(`${ENTRY} begins a program, whose output is dropped here; mortise run ${file} shows it`);
    // One byte more than fits: the plugin refuses it, and nothing waits for the end of what has none.
    const bytes = plugin.has(fn) ? await readInput(input, memoryBytes + 1) : undefined;
    return await callLoaded(plugin, file, fn, bytes, loadMs);
  } finally {
    await plugin.close();
  }
}

async function load(file: string, flags: CallFlags): Promise<{ readonly plugin: Plugin; readonly memoryBytes: number }> {
  const given = { hosts: flags.allowHost, folders: flags.allowPath, manifestGrants: flags.manifestGrants };
  const options: PluginOptions = {
    limits: limitsOf(flags),
    config: flags.config ?? {},
    permissions: { ...permissionsOf(given), ...flags.grant },
    isolation: flags.isolation,
    ...(flags.abi === undefined ? {} : { abi: flags.abi }),
    ...(flags.logLevel === "off" ? {} : { logger: stderrLogger(), logLevel: flags.logLevel }),
  };
  if (nativePath(file, options) !== undefined) {
    const native = flags.allowNative === true ? [{ path: file, digest: await digestOf(file) }] : [];
    return { plugin: await loadPlugin(file, { ...options, native }), memoryBytes: DEFAULT_LIMITS.memoryBytes };
  }
  const settings = { ...options, wasi: { env: flags.env ?? {} } };
  if (isArtefact(file)) return { plugin: await loadPlugin(file, settings), memoryBytes: options.limits?.memoryBytes ?? DEFAULT_LIMITS.memoryBytes };
  const manifest = await readManifest(file, { maxBytes: DEFAULT_LIMITS.moduleBytes });
  const refused = refusedGrants(manifest, given);
  if (refused !== undefined) printNote(refused);
  const beside = (wasm: Uint8Array): ReturnType<typeof readBeside> => readBeside(file, wasm);
  return { plugin: await assemblePlugin(manifest, settings, beside), memoryBytes: mergeLimits(manifest, settings).memoryBytes };
}

/** SHA-256 of a file that somebody at the command line vouches for. */
async function digestOf(file: string): Promise<string> {
  try {
    return createHash("sha256")
      .update(await readFile(file))
      .digest("hex");
  } catch {
    // Loading it says what is the matter.
    return "0".repeat(64);
  }
}

async function callLoaded(plugin: Plugin, file: string, fn: string, input: PluginInput, loadMs: number): Promise<CallOutcome> {
  const began = performance.now();
  const stats = (): CallStats => ({
    loadMs,
    callMs: performance.now() - began,
    fuel: plugin.stats().fuel.last,
    memoryBytes: plugin.stats().memory.peak,
  });
  try {
    const output = await plugin.call(fn, input);
    return { ok: true, output: output.bytes(), stats: stats() };
  } catch (error) {
    const failure = toMortiseError(error);
    return { ok: false, error: failure, stats: stats(), ...hintFor(failure, plugin, file) };
  }
}

function hintFor(error: MortiseError, plugin: Plugin, file: string): { hint?: string } {
  if (error.code !== "MORTISE_UNKNOWN_FUNCTION" && error.code !== "MORTISE_BAD_SIGNATURE") return {};
  const suggested = error.details["hint"];
  if (typeof suggested === "string" && suggested !== "") return {};
  const names = plugin.exports;
  if (names.length === 0) return { hint: "the plugin has no function that can be called" };
  if (names.length === 1 && names[0] === ENTRY) return { hint: `it is a program: mortise run ${visible(file)}` };
  const shown = names.slice(0, 8).join(", ");
  return { hint: `the plugin has ${shown}${names.length > 8 ? ` and ${names.length - 8} more` : ""}` };
}

/** Writes the guest's log lines to stderr, each with its level. */
function stderrLogger(): Logger {
  return {
    trace: lineWriter(paint(process.stderr, "dim", "[trace]")),
    debug: lineWriter(paint(process.stderr, "dim", "[debug]")),
    info: lineWriter("[info]"),
    warn: lineWriter(paint(process.stderr, "yellow", "[warn]")),
    error: lineWriter(paint(process.stderr, "red", "[error]")),
  };
}

function lineWriter(label: string): (message: string) => void {
  return (message) => void process.stderr.write(`${label} ${message}\n`);
}
