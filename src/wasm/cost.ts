// The cost rule: how many units of fuel each instruction is charged.
//
// One unit is about one simple machine instruction. What takes longer than that by more than a small factor has a
// price of its own, so that a slice of fuel never hides a long time. The rule depends on the module alone, never on
// the engine, the machine or the clock: the same module and input cost the same everywhere.

/** Prices in fuel units. */
export const COST = {
  /** Any instruction not named here. */
  plain: 1,
  /** A call on top of what the callee is charged. */
  call: 2,
  /** Each parameter, result or block value that a call or a taken branch moves. */
  movedValue: 0.25,
  /** Each local, zeroed when a function is entered. */
  local: 0.25,
  /** Crossing into JavaScript. */
  hostCall: 64,
  /** Throwing, catching included. */
  throw: 1000,
  /** `table.set` and `ref.func`, which may allocate. */
  reference: 16,
  /** The fixed part of a bulk operation. */
  bulk: 8,
  /** Bytes that a bulk memory operation handles for one unit. */
  bulkBytesPerUnit: 16,
  /** Each table or array entry that a bulk operation handles. */
  bulkEntry: 2,
  /** The fixed part of `memory.grow` and `table.grow`. */
  grow: 1000,
  /** Each page of 64 KiB that a memory grows by: its first touch. */
  growPage: 512,
  /** Each unit of complexity of a function that is out of proportion to its size. */
  compilation: 10,
  /** Bytes that a host function handles for one unit. */
  hostBytesPerUnit: 16,
} as const;

/** Largest static cost that a function may have and still rely on its callers' checks; see RATIONALE.md. */
export const UNCHECKED_COST = 256;
/** How much untaken code one check may charge for ahead of time. */
export const MERGE_COST = 256;
/** Longest straight run between two checks. */
export const SEGMENT_COST = 4096;
/** A bulk operation longer than this many bytes is split, with a check for each part. */
export const BULK_SPLIT_BYTES = 1 << 18;
/** A table operation longer than this many entries is split. */
export const BULK_SPLIT_ENTRIES = 1 << 13;

/**
 * Loops count in a local variable and settle with the budget when this much has come together: in a function that
 * calls nothing, and in one that calls (where every frame of a deep recursion may owe as much).
 */
export const SETTLE_COST = 4096;
export const SETTLE_COST_WITH_CALLS = 2048;
