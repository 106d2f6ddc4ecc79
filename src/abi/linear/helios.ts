// Plugins for HeliosProxy: `alloc` and `dealloc`, `(address, length) -> i64`, and a new instance for every call.
// Facts: docs/helios-functions.md and docs/from-helios.md.

import type { Dialect } from "./dialect.ts";

export const HELIOS: Dialect = {
  abi: "helios",
  fresh: true,
  allocatesNothing: true,
  internal: new Set(["alloc", "dealloc"]),
  parts: {},
  configure: undefined,
  cleanUp: undefined,
  // The functions that it imports are services; the loader provides them.
  provided: {},
  // The memory is dropped after the call, and its blocks with it.
  allocatorOf: () => ({ allocate: "alloc", free: undefined, reset: undefined }),
};
