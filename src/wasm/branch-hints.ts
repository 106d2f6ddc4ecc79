// Turns on the engine's reading of branch hints where it is still behind a flag.

import { setFlagsFromString } from "node:v8";

let done = false;

/**
 * Instrumented modules mark the branches that are hardly ever taken. V8 14 reads the marks; V8 13 (Node 24) knows them
 * behind a flag, which changes the layout of code and nothing else. Without it metered loops cost up to 80 % more.
 * Done once, so that `v8.setFlagsFromString("--no-experimental-wasm-branch-hinting")` after a first load undoes it.
 */
export function enableBranchHints(): void {
  if (done) return;
  done = true;
  if (process.versions.v8.startsWith("13.")) setFlagsFromString("--experimental-wasm-branch-hinting");
}
