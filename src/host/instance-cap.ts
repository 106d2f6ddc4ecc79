// How many instances this process may have at once: the engine reserves 10 GiB of address space for each memory, and
// running out of it should be a coded error long before it is the engine's.

import { MortiseError } from "../api/errors.ts";
import { invalidOption } from "../api/limits.ts";

/** Two memories an instance: half of what V8 was seen to give. */
const DEFAULT_CAP = 4000;

let cap = DEFAULT_CAP;
let live = 0;

/** Instances that plugins of this process hold in its own thread, and how many they may. */
export function instanceCount(): { readonly live: number; readonly cap: number } {
  return { live, cap };
}

/**
 * Sets how many instances all plugins together may hold in this thread.
 *
 * @param instances a whole number, 1 or more. @default 4000
 * @throws MortiseError MORTISE_INVALID_OPTION
 */
export function setInstanceCap(instances: number): void {
  if (!(Number.isSafeInteger(instances) && instances > 0)) throw invalidOption("instances", String(instances), "a whole number, 1 or more");
  cap = instances;
}

/** Counts an instance in. @throws MortiseError MORTISE_INSTANCE_CAP */
export function enterInstance(plugin: string): void {
  if (live >= cap) throw new MortiseError("MORTISE_INSTANCE_CAP", { plugin, count: live, limit: cap });
  live++;
}

/** Counts an instance out. */
export function leaveInstance(): void {
  live--;
}
