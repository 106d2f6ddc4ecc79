// The conformance suite in every place.

import { loadPlugin } from "../../src/index.ts";
import { describeIsolation } from "./isolation.conformance.ts";

for (const isolation of ["inline", "thread", "process"] as const) {
  describeIsolation(isolation, (source, options) => loadPlugin(source, { ...options, isolation }));
}
