// The first part of the tour: four plugins in four languages read the project's own page.

import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";

import { type Plugin, loadPlugin } from "../index.ts";
import { bytes, milliseconds, short } from "./quantities.ts";
import type { SelfCheck } from "./self-check.ts";

/** A plugin of the tour, and how to tell that its answer is right. */
interface TourPlugin {
  readonly language: string;
  readonly file: string;
  readonly function: string;
  check(output: unknown, input: string): boolean;
}

/** What the tour shows of one plugin. */
export interface PluginRow {
  readonly cells: readonly string[];
  readonly output: string;
}

const CALLS = 15;

/** Columns of the rows. */
export const PLUGIN_COLUMNS = ["language", "size", "function", "per call", "fuel", "memory"] as const;

const PLUGINS: readonly TourPlugin[] = [
  {
    language: "AssemblyScript",
    file: "vowels.ts.wasm",
    function: "count_vowels",
    check: (output, input) => member(output, "count") === (input.match(/[aeiou]/gi)?.length ?? 0),
  },
  {
    language: "C",
    file: "sha256.c.wasm",
    function: "sha256",
    check: (output, input) => member(output, "sha256") === createHash("sha256").update(input).digest("hex"),
  },
  {
    language: "Rust",
    file: "word_frequency.rs.wasm",
    function: "top_words",
    check: (output) => Array.isArray(output) && output.length === 10 && output.every((item) => Number(member(item, "count")) > 0),
  },
  {
    language: "Go",
    file: "readability.go.wasm",
    function: "readability",
    check: (output) =>
      Number(member(output, "words")) > 0 && Number(member(output, "sentences")) > 0 && Number.isFinite(member(output, "readingEase")),
  },
];

/** Calls every plugin on the input. */
export async function runPlugins(folder: URL, input: string, check: SelfCheck): Promise<PluginRow[]> {
  const rows: PluginRow[] = [];
  for (const plugin of PLUGINS) rows.push(await runPlugin(plugin, new URL(plugin.file, folder), input, check));
  return rows;
}

async function runPlugin(tour: TourPlugin, file: URL, input: string, check: SelfCheck): Promise<PluginRow> {
  await using plugin = await loadPlugin(file);
  const output = plugin.callSync(tour.function, input);
  check.expect(tour.check(output.json(), input), `${tour.function} of ${tour.file} gave a wrong answer: ${output.text()}`);
  const perCall = medianTime(plugin, tour.function, input);
  const { fuel, memory } = plugin.stats();
  const { size } = await stat(file);
  return {
    cells: [tour.language, bytes(size), tour.function, milliseconds(perCall), short(fuel.last), bytes(memory.peak)],
    output: output.text(),
  };
}

function medianTime(plugin: Plugin, fn: string, input: string): number {
  const times = Array.from({ length: CALLS }, () => {
    const began = performance.now();
    plugin.callSync(fn, input);
    return performance.now() - began;
  });
  return times.toSorted((a, b) => a - b)[CALLS >> 1] ?? 0;
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Object.entries(value).find(([key]) => key === name)?.[1] : undefined;
}
