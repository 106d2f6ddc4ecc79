// Environment variables: those that `wasi.env` gives, never those of the process.

import type { Functions, WasiContext } from "./context.ts";
import { writeSizes, writeStrings } from "./string-list.ts";

/** `environ_sizes_get` and `environ_get`. */
export function environmentFunctions(context: WasiContext): Functions {
  const { env } = context.grants;
  return {
    environ_sizes_get: (count: number, size: number) => writeSizes(context, env, count, size),
    environ_get: (table: number, target: number) => writeStrings(context, env, table, target),
  };
}
