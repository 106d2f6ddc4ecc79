// Prints the outcome of `mortise call`: the output as it is, or one JSON object.

import type { MortiseError } from "../index.ts";
import { printFailure } from "./failure.ts";
import { bytes, count, milliseconds } from "./quantities.ts";
import { alignRows } from "./table.ts";
import { jsonText } from "./terminal.ts";

/** What a call took. */
export interface CallStats {
  readonly loadMs: number;
  readonly callMs: number;
  readonly fuel: number;
  readonly memoryBytes: number;
}

/** How a call ended. */
export type CallOutcome =
  | { readonly ok: true; readonly output: Uint8Array; readonly stats: CallStats }
  | { readonly ok: false; readonly error: MortiseError; readonly hint?: string; readonly stats?: CallStats };

const NEWLINE = 0x0a;
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Prints an outcome. */
export async function printOutcome(outcome: CallOutcome, flags: { readonly json?: boolean; readonly stats?: boolean }): Promise<void> {
  if (flags.json === true) {
    await writeOut(`${jsonText(toJson(outcome))}\n`);
    return;
  }
  if (outcome.ok) await writeOutput(outcome.output);
  else printFailure(outcome.error, outcome.hint);
  if (flags.stats === true && outcome.stats !== undefined) process.stderr.write(statsText(outcome.stats, "call"));
}

function toJson(outcome: CallOutcome): Record<string, unknown> {
  const stats = outcome.stats === undefined ? {} : { stats: roundedStats(outcome.stats) };
  if (!outcome.ok) return { ok: false, error: outcome.error.toJSON(), ...stats };
  return { ok: true, ...outputJson(outcome.output), ...stats };
}

/** Bytes for a JSON object: as text if they are UTF-8. */
export function outputJson(output: Uint8Array): { output: string } | { outputBase64: string } {
  try {
    return { output: strict.decode(output) };
  } catch {
    return { outputBase64: Buffer.from(output).toString("base64") };
  }
}

/** Times in whole microseconds. */
export function roundedStats(stats: CallStats): CallStats {
  return { ...stats, loadMs: toMicroseconds(stats.loadMs), callMs: toMicroseconds(stats.callMs) };
}

function toMicroseconds(ms: number): number {
  return Number(ms.toFixed(3));
}

/** What a call took, as lines for people. */
export function statsText(stats: CallStats, verb: "call" | "run"): string {
  const rows = [
    ["time", `${milliseconds(stats.callMs)} to ${verb}, ${milliseconds(stats.loadMs)} to load`],
    ["fuel", `${count(stats.fuel)} units`],
    ["memory", bytes(stats.memoryBytes)],
  ];
  return alignRows(rows)
    .map((line) => `${line}\n`)
    .join("");
}

/** The bytes as they are; a terminal gets the newline that it needs. */
async function writeOutput(output: Uint8Array): Promise<void> {
  await writeOut(output);
  if (process.stdout.isTTY && output.length > 0 && output.at(-1) !== NEWLINE) await writeOut("\n");
}

/** Waits until the data is written, or cannot be: what is wrong with stdout is reported where its errors arrive. */
export async function writeOut(data: Uint8Array | string): Promise<void> {
  await new Promise<void>((resolve) => process.stdout.write(data, () => resolve()));
}
