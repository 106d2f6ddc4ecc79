// Prints how a program ended that `mortise run` ran. What it wrote is there already, unless it goes into a JSON object.

import type { MortiseError } from "../index.ts";
import { type CallStats, outputJson, roundedStats, statsText, writeOut } from "./call-report.ts";
import { printFailure } from "./failure.ts";
import { jsonText } from "./terminal.ts";

/** How a run ended: by itself, with its exit code, or not. */
export type RunOutcome =
  | { readonly ok: true; readonly exitCode: number; readonly stats?: CallStats }
  | { readonly ok: false; readonly error: MortiseError; readonly stats?: CallStats };

/** Prints an outcome; `written` is what the program wrote to standard output, if that was kept for a JSON object. */
export async function printRun(
  outcome: RunOutcome,
  written: Uint8Array,
  flags: { readonly json?: boolean; readonly stats?: boolean },
): Promise<void> {
  const { stats } = outcome;
  if (flags.json === true) {
    const end = outcome.ok ? { ok: true, exitCode: outcome.exitCode } : { ok: false, error: outcome.error.toJSON() };
    const output = stats === undefined ? {} : { ...outputJson(written), stats: roundedStats(stats) };
    await writeOut(`${jsonText({ ...end, ...output })}\n`);
    return;
  }
  if (!outcome.ok) printFailure(outcome.error);
  if (flags.stats === true && stats !== undefined) process.stderr.write(statsText(stats, "run"));
}
