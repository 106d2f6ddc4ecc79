// Arguments: those that `wasi.args` gives.

import type { Functions, WasiContext } from "./context.ts";
import { writeSizes, writeStrings } from "./string-list.ts";

/** `args_sizes_get` and `args_get`. */
export function argumentFunctions(context: WasiContext): Functions {
  const { args } = context.grants;
  return {
    args_sizes_get: (count: number, size: number) => writeSizes(context, args, count, size),
    args_get: (table: number, target: number) => writeStrings(context, args, table, target),
  };
}
