// The report of many test files: each file's tests as Node's own reporter shows them, then sums, the slowest, and what failed.

import { PassThrough, type Writable } from "node:stream";
import { spec } from "node:test/reporters";

import { type FileRun, type TestEvent, isFailure } from "./run-test-file.ts";

/** Files that are named for their time. */
const SLOWEST = 10;

export interface TestReport {
  add(file: string, run: FileRun): void;
  /** Writes what is said at the end; false if anything has failed. */
  end(): boolean;
}

/** @param output where it is written, file by file */
export function createTestReport(output: Writable): TestReport {
  const events = new PassThrough({ objectMode: true });
  events.pipe(new spec()).pipe(output); // oxlint-disable-line new-cap -- that is its name
  const say = (message: string): boolean => events.write({ type: "test:diagnostic", data: { nesting: 0, message } } satisfies TestEvent);
  const sums: Record<string, number> = {};
  const times: { readonly file: string; readonly ms: number }[] = [];
  const began = performance.now();
  let failed = 0;
  return {
    add(file, { events: told, counts, durationMs }) {
      times.push({ file, ms: durationMs });
      for (const event of told) {
        events.write(event);
        if (isFailure(event)) failed++;
      }
      for (const [name, count] of Object.entries(counts ?? {})) sums[name] = (sums[name] ?? 0) + count;
    },
    end() {
      for (const { file, ms } of times.toSorted((a, b) => b.ms - a.ms).slice(0, SLOWEST)) say(`${(ms / 1000).toFixed(1)} s in ${file}`);
      for (const name of ["tests", "suites", "passed", "failed", "cancelled", "skipped", "todo"]) say(`${name} ${sums[name] ?? 0}`);
      say(`seconds ${((performance.now() - began) / 1000).toFixed(1)}`);
      events.end();
      return failed === 0;
    },
  };
}
