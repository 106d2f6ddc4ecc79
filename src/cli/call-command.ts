// `mortise call`: loads a plugin and calls one function of it, once.

import { type LogLevel, type Logger, type MortiseError, type Plugin, type PluginInput, loadPlugin } from "../index.ts";
import { type CallOutcome, type CallStats, printOutcome } from "./call-report.ts";
import { EXIT, exitCodeOf, toMortiseError } from "./failure.ts";
import { type InputFlags, readInput } from "./guest-input.ts";
import type { FolderGrant } from "./option-values.ts";
import { type PluginFlags, limitsOf, permissionsOf } from "./plugin-flags.ts";
import { paint, visible } from "./terminal.ts";

/** Levels that `--log-level` takes. */
export const LOG_CHOICES = ["trace", "debug", "info", "warn", "error", "off"] as const satisfies readonly (LogLevel | "off")[];

/** Options of the command as commander gives them. */
export interface CallFlags extends InputFlags, PluginFlags {
  readonly config?: Readonly<Record<string, string>>;
  readonly allowHost?: readonly string[];
  readonly allowPath?: readonly FolderGrant[];
  readonly logLevel: (typeof LOG_CHOICES)[number];
}

/** Runs the command and returns the exit code. */
export async function callCommand(file: string, fn: string, flags: CallFlags): Promise<number> {
  const input = await readInput(flags);
  const outcome = await callOnce(file, fn, input, flags);
  await printOutcome(outcome, flags);
  return outcome.ok ? EXIT.ok : exitCodeOf(outcome.error);
}

async function callOnce(file: string, fn: string, input: PluginInput, flags: CallFlags): Promise<CallOutcome> {
  const began = performance.now();
  let plugin: Plugin;
  try {
    plugin = await loadPlugin(file, {
      limits: limitsOf(flags),
      config: flags.config ?? {},
      permissions: permissionsOf(flags.allowPath, flags.allowHost),
      isolation: flags.isolation,
      wasi: { env: flags.env ?? {} },
      ...(flags.logLevel === "off" ? {} : { logger: stderrLogger(), logLevel: flags.logLevel }),
    });
  } catch (error) {
    return { ok: false, error: toMortiseError(error) };
  }
  const loaded = performance.now();
  const stats = (): CallStats => ({
    loadMs: loaded - began,
    callMs: performance.now() - loaded,
    fuel: plugin.stats().fuel.last,
    memoryBytes: plugin.stats().memory.peak,
  });
  try {
    const output = await plugin.call(fn, input);
    return { ok: true, output: output.bytes(), stats: stats() };
  } catch (error) {
    const failure = toMortiseError(error);
    return { ok: false, error: failure, stats: stats(), ...hintFor(failure, plugin, file) };
  } finally {
    await plugin.close();
  }
}

function hintFor(error: MortiseError, plugin: Plugin, file: string): { hint?: string } {
  if (error.code !== "MORTISE_UNKNOWN_FUNCTION" && error.code !== "MORTISE_BAD_SIGNATURE") return {};
  const suggested = error.details["hint"];
  if (typeof suggested === "string" && suggested !== "") return {};
  const names = plugin.exports;
  if (names.length === 0) return { hint: "the plugin has no function that can be called" };
  if (names.length === 1 && names[0] === "_start") return { hint: `it is a program: mortise run ${visible(file)}` };
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
