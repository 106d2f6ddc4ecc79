// The thread that fuzzes, so that the one that started it can see it hang.
import { parentPort, workerData } from "node:worker_threads";
import { loadCorpus } from "../test/wasm/corpus.ts";
import { fuzz } from "../test/wasm/fuzzing.ts";

/** What the fuzzing thread is started with. */
export interface FuzzWork {
  readonly cases: number;
  readonly seed: number;
  readonly maxFailures: number;
  /** Number of the case in progress, then the size of its module. */
  readonly progress: SharedArrayBuffer;
  /** The module in progress. */
  readonly current: SharedArrayBuffer;
}

const work = workerData as FuzzWork;
const progress = new Int32Array(work.progress);
const current = new Uint8Array(work.current);
const corpus = (await loadCorpus()).map(({ bytes }) => bytes);
const report = fuzz({
  ...work,
  corpus,
  onCase: (caseNumber, bytes) => {
    const size = Math.min(bytes.length, current.length);
    current.set(bytes.subarray(0, size));
    Atomics.store(progress, 1, size);
    Atomics.store(progress, 0, caseNumber);
  },
});
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a message port of a worker has no origin
parentPort?.postMessage(report);
