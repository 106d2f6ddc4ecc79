// The guest's process: it can end itself and nothing else.

import type { Functions, WasiContext } from "./context.ts";
import { ERRNO } from "./errno.ts";

/** `proc_exit`, `proc_raise` and `sched_yield`. */
export function processFunctions({ host }: WasiContext): Functions {
  return {
    proc_exit: (code: number) => {
      host.exit(code);
      return ERRNO.success;
    },
    // A signal would go to the host.
    proc_raise: () => ERRNO.nosys,
    // Time slices are taken whether the guest offers them or not.
    sched_yield: () => ERRNO.success,
  };
}
