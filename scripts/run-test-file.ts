// One test file in a process of its own: what its tests reported, and whether it came to its end.

import { run } from "node:test";

/** Milliseconds that a test may take unless it says otherwise. */
const TEST_MS = 300_000;
/** Milliseconds that a file may take: it may hold its thread, or be held by something that it has not closed. */
const FILE_MS = 600_000;

/** What Node's runner tells, as far as it is looked at here. */
export interface TestEvent {
  readonly type: string;
  readonly data: {
    /** Missing in what is about the run of the file, and not in it. */
    readonly file?: string;
    readonly name?: string;
    readonly todo?: string | boolean;
    readonly counts?: TestCounts;
    readonly [more: string]: unknown;
  };
}

export type TestCounts = Readonly<Record<"tests" | "suites" | "passed" | "failed" | "cancelled" | "skipped" | "todo", number>>;

/** What became of a file. */
export interface FileRun {
  readonly events: readonly TestEvent[];
  readonly counts: TestCounts | undefined;
  readonly durationMs: number;
}

/**
 * Runs a file to its end, or until its time is over.
 *
 * @param file absolute path
 * @param limitMs milliseconds that it may take
 */
export async function runTestFile(file: string, limitMs: number = FILE_MS): Promise<FileRun> {
  const began = performance.now();
  const execArgv = ["--conditions=source", "--expose-gc", `--test-timeout=${TEST_MS}`];
  const told = run({ files: [file], execArgv, signal: AbortSignal.timeout(limitMs) }) as AsyncIterable<TestEvent>;
  const events: TestEvent[] = [];
  let counts: TestCounts | undefined;
  let isWhole = false;
  for await (const event of told) {
    const { type, data } = event;
    // A file sums up its tests when all have ended; the runner sums up the file, and alone says what a crash was.
    if (type === "test:summary" && data.file === undefined) counts = data.counts;
    else if (type === "test:summary") isWhole = true;
    else if (data.file !== undefined || data.name !== undefined) events.push(event);
  }
  const durationMs = performance.now() - began;
  if (!isWhole && !events.some(isFailure)) events.push(failure(file, durationMs, "the file ended before its tests had, or it has none"));
  return { events, counts, durationMs };
}

/** True if a test has failed that was not expected to. */
export function isFailure({ type, data }: TestEvent): boolean {
  return type === "test:fail" && (data.todo === undefined || data.todo === false);
}

function failure(file: string, durationMs: number, message: string): TestEvent {
  return {
    type: "test:fail",
    data: { name: file, nesting: 0, testNumber: 1, file, line: 1, column: 1, details: { duration_ms: durationMs, error: message } },
  };
}
