// What a row of the benchmarks reports, and how it is printed.

import type { Effort, Spread } from "./measure.ts";

/** One line of the table. */
export interface Result {
  readonly what: string;
  readonly ours: string;
  readonly against: string;
  /** What is compared with the goal, if the line has one. */
  readonly value: string;
  readonly goal?: string;
  readonly reached?: boolean;
  /** The same as numbers, for `--json`. */
  readonly numbers: Readonly<Record<string, number>>;
}

/** Options of a row. */
export interface RowOptions {
  readonly effort: Effort;
  readonly quick: boolean;
}

/** A row: one question and its lines. */
export interface Row {
  readonly name: string;
  readonly title: string;
  /** What is measured, in one sentence. */
  readonly measures: string;
  readonly run: (options: RowOptions) => Promise<Result[]>;
}

/** A row that was run. */
export interface RowReport {
  readonly row: Row;
  readonly results: readonly Result[];
}

const digits = (value: number): string => (value >= 99.95 ? value.toFixed(0) : value >= 9.995 ? value.toFixed(1) : value.toFixed(2));

function microseconds(value: number): string {
  return value >= 1000 ? `${digits(value / 1000)} ms` : `${digits(value)} µs`;
}

export function milliseconds(value: number): string {
  return microseconds(value * 1000);
}

export function kibibytes(bytes: number): string {
  return `${digits(bytes / 1024)} KiB`;
}

function times({ median, min, max }: Spread): string {
  return `${digits(median)}x (${digits(min)}..${digits(max)})`;
}

/** A line that says how many times faster ours is. */
export function faster(what: string, ours: Spread, against: Spread, ratio: Spread, goal?: number): Result {
  return {
    what,
    ours: microseconds(ours.median),
    against: microseconds(against.median),
    value: times(ratio),
    ...(goal === undefined ? {} : { goal: `≥ ${goal}x`, reached: ratio.median >= goal }),
    numbers: { oursUs: ours.median, againstUs: against.median, ratio: ratio.median, ratioMin: ratio.min, ratioMax: ratio.max },
  };
}

/** A line that says how many times longer ours takes. */
export function slower(what: string, ours: Spread, against: Spread, ratio: Spread, goal?: number): Result {
  return {
    ...faster(what, ours, against, ratio),
    ...(goal === undefined ? {} : { goal: `< ${goal}x`, reached: ratio.median < goal }),
  };
}

const HEAD = ["", "Mortise", "against", "result (min..max)", "goal", ""] as const;

function cells(result: Result): string[] {
  const verdict = result.reached === undefined ? "" : result.reached ? "reached" : "missed";
  return [result.what, result.ours, result.against, result.value, result.goal ?? "", verdict];
}

/** A row as text for a terminal. */
export function toText({ row, results }: RowReport): string {
  const lines = [[...HEAD], ...results.map(cells)];
  const widths = HEAD.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const table = lines.map((line) => line.map((cell, column) => cell.padEnd(widths[column] as number)).join("  "));
  return `${row.name}: ${row.title}\n${row.measures}\n\n${table.map((line) => `  ${line.trimEnd()}`).join("\n")}\n`;
}

/** A row as Markdown. */
export function toMarkdown({ row, results }: RowReport): string {
  const lines = [[...HEAD], HEAD.map(() => "---"), ...results.map(cells)];
  return `### ${row.name}: ${row.title}\n\n${lines.map((line) => `| ${line.join(" | ")} |`).join("\n")}\n`;
}
