// Fuzzes the rewriter: npm run fuzz -- [--cases N] [--seed S] [--failures N]. Exits 1 if a case fails or hangs.
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import type { FuzzFailure, FuzzReport } from "../test/wasm/fuzzing.ts";
import type { FuzzWork } from "./fuzz-worker.ts";

const { values } = parseArgs({
  options: { cases: { type: "string" }, seed: { type: "string" }, failures: { type: "string" } },
});

function numberOption(value: string | undefined, otherwise: number): number {
  const number = value === undefined ? otherwise : Number(value);
  if (!Number.isSafeInteger(number)) throw new Error(`Cannot fuzz: "${String(value)}" must be an integer`);
  return number;
}

const work: FuzzWork = {
  cases: numberOption(values.cases, 100_000),
  seed: numberOption(values.seed, Date.now() % 1_000_000),
  maxFailures: numberOption(values.failures, 1),
  progress: new SharedArrayBuffer(8),
  current: new SharedArrayBuffer(1 << 20),
};
const progress = new Int32Array(work.progress);
const startedAt = performance.now();

/** A case that takes longer than this is a hang. */
const hangAfterMs = 20_000;

function saveFailure({ caseNumber, claim, detail, bytes }: FuzzFailure): string {
  const path = join(tmpdir(), `mortise-fuzz-${work.seed}-${caseNumber}.txt`);
  const hex = Buffer.from(bytes).toString("hex");
  writeFileSync(path, `seed ${work.seed}, case ${caseNumber}\nclaim: ${claim}\n${detail}\n${hex}\n`);
  return path;
}

function printFailure(failure: FuzzFailure): void {
  console.error(`case ${failure.caseNumber}: not true that ${failure.claim}\n  ${failure.detail}\n  ${saveFailure(failure)}`);
}

function printReport(report: FuzzReport): void {
  const seconds = (performance.now() - startedAt) / 1000;
  const refused = [...report.refused].map(([code, count]) => `${code} ${count}`).join(", ") || "none";
  console.log(`seed ${work.seed}: ${report.cases} cases in ${seconds.toFixed(1)} s (${Math.round(report.cases / seconds)} a second)`);
  console.log(`  valid ${report.valid}, invalid ${report.invalid}, refused by policy: ${refused}`);
  console.log(`  executed ${report.executed}, of which ended by a bound ${report.bounded}`);
  const { slowest } = report;
  console.log(`  slowest to instrument: case ${slowest.caseNumber}, ${slowest.ms.toFixed(1)} ms for ${slowest.size} bytes`);
  for (const failure of report.failures) printFailure(failure);
}

const worker = new Worker(new URL("fuzz-worker.ts", import.meta.url), { workerData: work });
let lastCase = -1;
let lastChange = performance.now();
const watch = setInterval(() => {
  const caseNumber = Atomics.load(progress, 0);
  if (caseNumber !== lastCase) {
    lastCase = caseNumber;
    lastChange = performance.now();
    process.stdout.write(`\r${caseNumber} cases`);
    return;
  }
  if (performance.now() - lastChange < hangAfterMs) return;
  const bytes = Uint8Array.from(new Uint8Array(work.current, 0, Atomics.load(progress, 1)));
  process.stdout.write("\r");
  printFailure({ caseNumber, claim: "every case ends", detail: `no progress for ${hangAfterMs} ms`, bytes });
  process.exit(1);
}, 1000);

worker.on("message", (report: FuzzReport) => {
  clearInterval(watch);
  process.stdout.write("\r");
  printReport(report);
  process.exitCode = report.failures.length > 0 ? 1 : 0;
});
worker.on("error", (error) => {
  clearInterval(watch);
  console.error(error);
  process.exitCode = 1;
});
