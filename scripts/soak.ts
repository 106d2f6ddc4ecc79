// The long test: every attack thousands of times, which must not leave memory behind, a hundred thousand mixed calls over
// all isolations, a plugin that is reloaded under load, a gateway under load, and a million cases of the fuzzer. Writes
// docs/soak-results.md.
//
//   npm run soak -- [--only NAME] [--quick] [--cases N] [--calls N] [--seconds N] [--no-gateway]
//
// --cases says how many cases the fuzzer gets, --calls how many mixed calls there are, --seconds how long there are reloads; 0
// leaves them out. `--only gateway` and `--only reloads` run those parts alone, and write their sections anew.

import { execFile, spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";

import { type Attack, ATTACKS } from "../test/attacks/attacks.ts";
import type { SoakReport } from "./soak-attack.ts";
import type { MixedReport } from "./soak-calls.ts";
import { gatewayFaults, gatewaySection } from "./soak-gateway-section.ts";
import type { GatewayReport } from "./soak-gateway.ts";
import { reloadFaults, reloadSection } from "./soak-reload-section.ts";
import type { ReloadReport } from "./soak-reload.ts";

const run = promisify(execFile);
const MIB = 1 << 20;
/** Bytes that heap and resident memory may grow by between the two measurements. */
const MAX_GROWTH = 5 * MIB;
/**
 * The young generation stays small: V8 lets it grow with what is allocated and keeps it, which in resident memory looks
 * like a leak of some tens of MiB.
 */
const NODE_OPTIONS = ["--expose-gc", "--max-semi-space-size=2"];
/** Processes at the same time. */
const AT_A_TIME = 2;

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const CHILD = file("soak-attack.ts");
const FUZZER = file("fuzz.ts");
const MIXED = file("soak-calls.ts");
const RELOADS = file("soak-reload.ts");
const GATEWAY = file("soak-gateway.ts");
const RESULTS = file("../docs/soak-results.md");

interface Plan {
  /** Repetitions of calls, and of loads, at the two measurements. */
  readonly calls: readonly [first: number, last: number];
  readonly loads: readonly [first: number, last: number];
  /** Seconds for one attack, beyond which repetitions are cut. */
  readonly maxSeconds: number;
  readonly fuzzCases: number;
  readonly mixedCalls: number;
  /** Seconds of reloads, and sequences of commands for the model. */
  readonly reloadSeconds: number;
  readonly sequences: number;
}

const FULL: Plan = {
  calls: [2000, 10_000],
  loads: [200, 1000],
  maxSeconds: 8,
  fuzzCases: 1_000_000,
  mixedCalls: 100_000,
  reloadSeconds: 60,
  sequences: 100_000,
};
const QUICK: Plan = { calls: [400, 1200], loads: [40, 120], maxSeconds: 4, fuzzCases: 10_000, mixedCalls: 5000, reloadSeconds: 10, sequences: 5000 };

interface Row {
  readonly name: string;
  readonly report?: SoakReport;
  readonly failure?: string;
}

/** Attacks whose every call sleeps to its deadline. */
const SLEEPERS: ReadonlySet<string> = new Set(["poll-hour", "poll-loop"]);

/** Attacks worth repeating: not those that fail at present, hold the thread for seconds or differ by a clock alone. */
function chosen(only: string | undefined): Attack[] {
  if (only !== undefined) return ATTACKS.filter(({ name }) => name.includes(only));
  return ATTACKS.filter(
    ({ name, isolated, todo, options }) => isolated !== true && todo === undefined && options?.clock === undefined && !SLEEPERS.has(name),
  );
}

/** Growth between two measurements that follow each other. */
function growth(values: readonly number[], from: number): number {
  return (values[from + 1] ?? Number.NaN) - (values[from] ?? Number.NaN);
}

type Verdict = "held" | "levelled off" | "grew" | "failed";

/** Levelled off: it grew between the first two measurements, but in a later round of as many repetitions no more. */
function verdictOf({ report }: Row): Verdict {
  if (report === undefined) return "failed";
  const lastRound = report.repetitions.length - 2;
  if (growth(report.heap, lastRound) > MAX_GROWTH || growth(report.rss, lastRound) > MAX_GROWTH) return "grew";
  return lastRound === 0 ? "held" : "levelled off";
}

async function soak(attack: Attack, plan: Plan): Promise<Row> {
  const counts = attack.ending.at === "load" ? plan.loads : plan.calls;
  const numbers = [...counts, plan.maxSeconds].map(String);
  try {
    const { stdout } = await run(process.execPath, [...NODE_OPTIONS, CHILD, attack.name, ...numbers], {
      timeout: (plan.maxSeconds * 6 + 120) * 1000,
    });
    return { name: attack.name, report: JSON.parse(stdout) as SoakReport };
  } catch (error) {
    const { stderr, signal, message } = error as { stderr?: string; signal?: string; message: string };
    const line = stderr?.split("\n").find((text) => /Error|FATAL/.test(text));
    return { name: attack.name, failure: (line ?? signal ?? message).slice(0, 200) };
  }
}

interface FuzzResult {
  readonly ok: boolean;
  readonly summary: string;
}

function fuzz(cases: number): FuzzResult {
  if (!existsSync(FUZZER)) return { ok: false, summary: "The fuzzer is not there." };
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--conditions=source", FUZZER, "--cases", String(cases)], {
    encoding: "utf8",
    maxBuffer: 256 * MIB,
  });
  const lines = `${stdout}\n${stderr}`
    .split(/[\r\n]+/)
    .filter((line) => line.trim() !== "")
    .slice(-12);
  return { ok: status === 0, summary: [`Exit code ${String(status)}. Its last lines:`, "", "```", ...lines, "```"].join("\n") };
}

async function mix(calls: number): Promise<MixedReport> {
  const { stdout } = await run(process.execPath, ["--conditions=source", "--expose-gc", MIXED, "--calls", String(calls)], { maxBuffer: 16 * MIB });
  return JSON.parse(stdout) as MixedReport;
}

async function reload(seconds: number, sequences: number): Promise<ReloadReport> {
  const options = ["--seconds", String(seconds), "--sequences", String(sequences)];
  const { stdout } = await run(process.execPath, [...NODE_OPTIONS, "--conditions=source", RELOADS, ...options], { maxBuffer: 16 * MIB });
  return JSON.parse(stdout) as ReloadReport;
}

async function storm(quick: boolean): Promise<GatewayReport> {
  const { stdout } = await run(process.execPath, ["--conditions=source", GATEWAY, ...(quick ? ["--quick"] : [])], { maxBuffer: 16 * MIB });
  return JSON.parse(stdout) as GatewayReport;
}

/** What mixed calls left behind or got wrong; nothing, if all is well. */
function mixedFaults({ wrong, hanging, handles, before, after }: MixedReport): string[] {
  const faults = [...wrong];
  if (hanging > 0) faults.push(`${hanging} calls did not end`);
  if (handles.length > 0) faults.push(`handles are left: ${handles.join(", ")}`);
  for (const what of ["instances", "descriptors", "threads", "children"] as const) {
    if (after[what] > before[what]) faults.push(`${what}: ${before[what]} before, ${after[what]} after`);
  }
  if (after.heapMib > before.heapMib + MAX_GROWTH / MIB) faults.push(`heap: ${before.heapMib} MiB before, ${after.heapMib} MiB after`);
  return faults;
}

function mixedSection(report: MixedReport): string[] {
  const listed = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .toSorted(([, left], [, right]) => right - left)
      .map(([what, times]) => `${what.replace("MORTISE_", "")} ${times.toLocaleString("en")}`)
      .join(", ");
  const faults = mixedFaults(report);
  return [
    "## Mixed calls",
    "",
    `${report.calls.toLocaleString("en")} calls in ${report.seconds.toFixed(0)} s, 64 at a time, on ${report.plugins} plugins, 8 at a time, with traps, loops, memory bombs, aborts,`,
    `deadlines, and plugins that are closed in the middle of it all (seed ${report.seed}).`,
    "",
    `- Where: ${listed(report.isolations)}`,
    `- Endings: ${listed(report.endings)}`,
    `- Answers to the wrong caller: ${report.wrong.length}; calls that hang: ${report.hanging}`,
    `- Instances, descriptors, threads, child processes before and after: ${(["instances", "descriptors", "threads", "children"] as const).map((what) => `${report.before[what]} and ${report.after[what]}`).join("; ")}`,
    `- Heap ${report.before.heapMib} and ${report.after.heapMib} MiB, resident ${report.before.rssMib} and ${report.after.rssMib} MiB`,
    `- Verdict: ${faults.length === 0 ? "**held**" : `**failed**: ${faults.join("; ")}`}`,
    "",
  ];
}

const mib = (bytes: number): string => (bytes / MIB).toFixed(2);

function tableRow(row: Row): string {
  const { report } = row;
  if (report === undefined) return `| ${row.name} | | ${row.failure} | | | | **failed** |`;
  const endings = Object.entries(report.endings).map(([code, count]) => `${code.replace("MORTISE_", "")} ${count}`);
  const verdict = verdictOf(row);
  const cells = [
    row.name,
    `${report.repetitions.join(" / ")} ${report.kind}`,
    endings.join(", "),
    report.heap.map(mib).join(" / "),
    report.rss.map(mib).join(" / "),
    report.seconds.toFixed(1),
    verdict === "grew" ? "**grew**" : verdict,
  ];
  return `| ${cells.join(" | ")} |`;
}

/** What was run besides the attacks. */
interface Others {
  readonly fuzzing: FuzzResult | undefined;
  readonly mixed: MixedReport | undefined;
  readonly reloads: ReloadReport | undefined;
  readonly gateway: GatewayReport | undefined;
}

function document(rows: readonly Row[], { fuzzing, mixed, reloads, gateway }: Others, quick: boolean): string {
  const count = (verdict: Verdict): number => rows.filter((row) => verdictOf(row) === verdict).length;
  const repetitions = rows.reduce((sum, { report }) => sum + (report?.repetitions.at(-1) ?? 0), 0);
  const mixedOk = mixed === undefined || mixedFaults(mixed).length === 0;
  const reloadsOk = reloads === undefined || reloadFaults(reloads).length === 0;
  const gatewayOk = gateway === undefined || gatewayFaults(gateway).length === 0;
  const passed = count("grew") + count("failed") === 0 && fuzzing?.ok !== false && mixedOk && reloadsOk && gatewayOk;
  return [
    "# Soak results",
    "",
    "Written by `npm run soak`. Each attack of `test/attacks` runs in a process of its own: the plugin is loaded once, then",
    "its `attack` and its `ok` are called again and again, with little fuel; a guest that must be refused at load is loaded",
    "again and again. Memory is measured after garbage collection, early and at the end; heap is V8's heap and what it keeps",
    `outside. An attack has *held* if neither heap nor resident memory (RSS) grew by more than ${MAX_GROWTH / MIB} MiB between the two. If one`,
    "did, it goes on for rounds of as many repetitions: it has *levelled off* if memory grows no further in one of them,",
    "which is memory that engine and allocator keep for later, and has *grown* if it does in each of four, which is a leak.",
    "Attacks that take long are repeated less often, as the table says.",
    "",
    `- Date: ${new Date().toISOString().slice(0, 10)}`,
    `- Node: ${process.version} (V8 ${process.versions.v8}), ${process.platform} ${process.arch}`,
    `- Attacks: ${rows.length}, repeated ${repetitions.toLocaleString("en")} times in all${quick ? " (the quick form)" : ""}`,
    `- Held: ${count("held")}, levelled off: ${count("levelled off")}, grew: ${count("grew")}, failed: ${count("failed")}`,
    `- Mixed calls: ${mixed === undefined ? "not run" : mixedOk ? "held" : "**failed**"}`,
    `- Reloads under load: ${reloads === undefined ? "not run" : reloadsOk ? "held" : "**failed**"}`,
    `- The gateway: ${gateway === undefined ? "not run" : gatewayOk ? "held" : "**failed**"}`,
    `- Fuzzer: ${fuzzing === undefined ? "not run" : fuzzing.ok ? "held" : "**failed**"}`,
    `- Verdict: ${passed ? "**passed**" : "**not passed**"}`,
    "",
    ...(mixed === undefined ? [] : mixedSection(mixed)),
    ...(reloads === undefined ? [] : reloadSection(reloads)),
    ...(gateway === undefined ? [] : gatewaySection(gateway)),
    "## Attacks",
    "",
    "| attack | repetitions at the measurements | endings | heap, MiB | RSS, MiB | s | verdict |",
    "|---|---|---|---|---|---|---|",
    ...rows.map(tableRow),
    "",
    ...(fuzzing === undefined ? [] : ["## Fuzzer", "", fuzzing.summary, ""]),
  ].join("\n");
}

/** Soaks all attacks, some at a time; the order of the rows is that of the attacks. */
async function soakAll(attacks: readonly Attack[], plan: Plan): Promise<Row[]> {
  const rows: Row[] = [];
  let next = 0;
  let done = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; ; index = next++) {
      const attack = attacks[index];
      if (attack === undefined) return;
      const row = await soak(attack, plan);
      rows[index] = row;
      console.log(`${++done}/${attacks.length} ${tableRow(row)}`);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  return rows;
}

/** Puts a section in the place of the one with its heading, or in front of the attacks. */
function writeSection(lines: readonly string[]): void {
  const [heading = ""] = lines;
  const [first = "", ...sections] = readFileSync(RESULTS, "utf8").split(/^(?=## )/m);
  const others = sections.filter((section) => !section.startsWith(`${heading}\n`));
  const at = others.findIndex((section) => section.startsWith("## Attacks"));
  const written = [heading, "", `Run on ${new Date().toISOString().slice(0, 10)} by itself.`, ...lines.slice(1)].join("\n");
  writeFileSync(RESULTS, [first, ...others.toSpliced(at, 0, `${written.trimEnd()}\n\n`)].join(""));
}

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    quick: { type: "boolean", default: false },
    cases: { type: "string" },
    calls: { type: "string" },
    seconds: { type: "string" },
    gateway: { type: "boolean", default: true },
  },
  allowNegative: true,
});
const plan = values.quick ? QUICK : FULL;
const isPart = values.only === "gateway" || values.only === "reloads";
const attacks = isPart ? [] : chosen(values.only);
const rows = await soakAll(attacks, plan);
const cases = values.cases === undefined ? plan.fuzzCases : Number(values.cases);
const fuzzing = values.only === undefined && cases > 0 ? fuzz(cases) : undefined;
if (fuzzing !== undefined) console.log(fuzzing.summary);
const calls = values.calls === undefined ? plan.mixedCalls : Number(values.calls);
const mixed = values.only === undefined && calls > 0 ? await mix(calls) : undefined;
if (mixed !== undefined) console.log(mixedSection(mixed).join("\n"));
const seconds = values.seconds === undefined ? plan.reloadSeconds : Number(values.seconds);
const reloads = (values.only === undefined || values.only === "reloads") && seconds > 0 ? await reload(seconds, plan.sequences) : undefined;
if (reloads !== undefined) console.log(reloadSection(reloads).join("\n"));
const gateway = values.only === "gateway" || (values.only === undefined && values.gateway) ? await storm(values.quick) : undefined;
if (gateway !== undefined) console.log(gatewaySection(gateway).join("\n"));
// Part of the attacks says nothing of the whole: the file stays as it is.
if (values.only === undefined) writeFileSync(RESULTS, document(rows, { fuzzing, mixed, reloads, gateway }, values.quick));
else if (!values.quick)
  for (const section of [reloads && reloadSection(reloads), gateway && gatewaySection(gateway)]) if (section) writeSection(section);
process.exitCode =
  rows.every((row) => ["held", "levelled off"].includes(verdictOf(row))) &&
  fuzzing?.ok !== false &&
  (rows.length > 0 || isPart) &&
  (mixed === undefined || mixedFaults(mixed).length === 0) &&
  (reloads === undefined || reloadFaults(reloads).length === 0) &&
  (gateway === undefined || gatewayFaults(gateway).length === 0)
    ? 0
    : 1;
