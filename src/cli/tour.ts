// `npm run tour`: a tour of what Mortise does, on real plugins. It is a self-check as well: the exit code is 1 if
// anything is not as it should be.

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { printFailure, toMortiseError, usageError } from "./failure.ts";
import { Heartbeat } from "./heartbeat.ts";
import { bytes, count, milliseconds } from "./quantities.ts";
import { SelfCheck } from "./self-check.ts";
import { type Alignment, alignRows } from "./table.ts";
import { type Paint, columnsOf, paint, watchForErrors, shorten, visible, wrap } from "./terminal.ts";
import { FOLDER_COLUMNS, runFolderReader } from "./tour-folder.ts";
import { HOSTILE_COLUMNS, HOSTILE_LIMITS, runHostileGuests } from "./tour-hostile.ts";
import { HTTP_COLUMNS, runRequests } from "./tour-http.ts";
import { PLUGIN_COLUMNS, runPlugins } from "./tour-plugins.ts";

const ROOT = new URL("../../", import.meta.url);
/** What the plugins read: the first of these that is there. */
const PAGES = ["README.md", "ARCHITECTURE.md", "guests/README.md"] as const;
const TICK_MS = 5;
const INDENT = "  ";

const NEXT = [
  ["See what a module is, without running it:", "npm run -s mortise -- inspect guests/prebuilt/sha256.c.wasm"],
  [
    "Call a plugin of your own choice:",
    "npm run -s mortise -- call guests/prebuilt/vowels.ts.wasm count_vowels \\\n  --input 'Hello, World!' --config vowels=lo --stats",
  ],
  [
    "Run a program, with one folder for reading and nothing else:",
    "npm run -s mortise -- run guests/prebuilt/word_count.c.wasm \\\n  --dir docs:/docs:ro /docs/cli.md /docs/errors.md",
  ],
  [
    "Give one too little fuel, and see where it was stopped:",
    "npm run -s mortise -- call guests/prebuilt/sha256.c.wasm sha256 \\\n  --input-file package.json --fuel 50000",
  ],
] as const;

const colour = (format: Paint, text: string): string => paint(process.stdout, format, text);
const print = (...lines: readonly string[]): void => void process.stdout.write(lines.map((line) => `${line}\n`).join(""));

watchForErrors(process.stdout);
try {
  const exitCode = await runTour();
  process.exitCode ??= exitCode;
} catch (error) {
  printFailure(toMortiseError(error));
  process.exitCode = 1;
}

async function runTour(): Promise<number> {
  const began = performance.now();
  const check = new SelfCheck();
  print("", `${INDENT}${colour("bold", "Mortise")}: plugins you do not trust, on the main thread, under limits that hold`);
  await showPlugins(check);
  await showHostileGuests(check);
  await showRequests(check);
  await showFolderReader(check);
  showNext();
  return conclude(check, performance.now() - began);
}

async function showPlugins(check: SelfCheck): Promise<void> {
  const page = await readPage();
  heading("1", "Four plugins, from four languages");
  paragraph(`Each reads ${page.name}, ${count(page.bytes)} bytes, and may use 1 s and 64 MiB for it. None gets files, network or environment.`);
  const rows = await runPlugins(new URL("guests/prebuilt/", ROOT), page.text, check);
  table(
    PLUGIN_COLUMNS,
    ["left", "right", "left", "right", "right", "right"],
    rows.map(({ cells, output }) => ({ cells, note: output })),
  );
}

async function showHostileGuests(check: SelfCheck): Promise<void> {
  heading("2", "Three plugins that mean harm");
  paragraph(
    `Each may use ${HOSTILE_LIMITS.timeoutMs} ms and ${bytes(HOSTILE_LIMITS.memoryBytes)}. A timer ticks every ${TICK_MS} ms; ` +
      `"pause" is the longest time it had to wait.`,
  );
  const began = performance.now();
  const heartbeat = new Heartbeat(TICK_MS);
  const rows = await runHostileGuests(heartbeat, check);
  heartbeat.stop();
  table(
    HOSTILE_COLUMNS,
    ["left", "left", "right", "right", "right", "left"],
    rows.map(({ cells, does }) => ({ cells, note: does })),
  );
  print("");
  paragraph(`The event loop went on: ${heartbeat.ticks} ticks in ${milliseconds(performance.now() - began)}, some after every attack.`);
}

async function showRequests(check: SelfCheck): Promise<void> {
  heading("3", "A plugin that wants the network");
  paragraph(
    "Written with Extism's kit for Rust. The server that it asks runs on the same thread as the plugin: while one waits, " +
      "the other goes on. /away redirects to where clouds keep their credentials.",
  );
  const rows = await runRequests(new URL("guests/kits/prebuilt/rust.wasm", ROOT), check);
  table(HTTP_COLUMNS, ["left", "left", "left", "right"], rows);
}

async function showFolderReader(check: SelfCheck): Promise<void> {
  heading("4", "A program that wants files");
  paragraph("Written in C for WASI, with the C library. It counts lines, words and bytes.");
  const rows = await runFolderReader(new URL("guests/prebuilt/word_count.c.wasm", ROOT), new URL("guests/", ROOT), check);
  table(FOLDER_COLUMNS, ["left", "left", "right", "right"], rows);
}

function showNext(): void {
  heading("5", "What to try next");
  for (const [index, [what, command]] of NEXT.entries()) {
    if (index > 0) print("");
    paragraph(what);
    print(...command.split("\n").map((line) => `${INDENT}${INDENT}${colour("cyan", line)}`));
  }
}

function conclude(check: SelfCheck, tookMs: number): number {
  print("");
  if (check.failures.length === 0) {
    print(`${INDENT}${colour("green", `All ${check.passed} checks passed`)} in ${(tookMs / 1000).toFixed(1)} s`, "");
    return 0;
  }
  print(...check.failures.map((problem) => `${INDENT}${colour("red", "not as it should be")}: ${visible(problem)}`), "");
  return 1;
}

async function readPage(): Promise<{ name: string; text: string; bytes: number }> {
  for (const name of PAGES) {
    const contents = await readFile(new URL(name, ROOT)).catch(() => undefined);
    if (contents !== undefined) return { name, text: contents.toString("utf8"), bytes: contents.length };
  }
  throw usageError(`none of ${PAGES.join(", ")} is in ${fileURLToPath(ROOT)}`, "run the tour from a clone of the repository");
}

function heading(number: string, title: string): void {
  print("", `${INDENT}${colour("dim", number)}  ${colour("bold", title)}`, "");
}

function paragraph(text: string): void {
  print(...wrap(text, columnsOf(process.stdout) - INDENT.length * 2).map((line) => INDENT + line));
}

/** A table with a line of its own under each row for what does not fit into a column. */
function table(
  columns: readonly string[],
  alignments: readonly Alignment[],
  rows: readonly { readonly cells: readonly string[]; readonly note: string }[],
): void {
  const [head = "", ...lines] = alignRows([columns, ...rows.map(({ cells }) => cells)], alignments);
  const width = Math.max(head.length, ...lines.map((line) => line.length));
  const rule = (process.stdout.isTTY ? "─" : "-").repeat(width);
  print("", ...[head, rule].map((line) => INDENT + colour("dim", line)));
  for (const [index, line] of lines.entries()) {
    const note = shorten(visible(rows[index]?.note ?? ""), columnsOf(process.stdout) - INDENT.length * 3);
    print(INDENT + accentuate(line, rows[index]?.cells[0] ?? ""), `${INDENT}${INDENT}${colour("dim", note)}`);
  }
}

/** Colours for what to look at first: whose row it is, how it was stopped, and what works. */
function accentuate(line: string, first: string): string {
  const rest = line.slice(first.length).replace(/MORTISE_\w+/, (code) => colour("yellow", code));
  return colour("bold", first) + rest.replace(/works$| 200 /, (word) => colour("green", word));
}
