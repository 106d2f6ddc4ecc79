// Makes sure that there is stack left for what must not be interrupted half-way.

/** Calls below: some 60 KiB, which is more than sending a packet takes. */
const CALLS = 400;

/**
 * Returns if there is room.
 *
 * @throws RangeError "Maximum call stack size exceeded", as the engine words it
 */
export function needStack(left: number = CALLS): number {
  return left === 0 ? 0 : needStack(left - 1) + 1;
}
