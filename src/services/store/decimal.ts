// Whole numbers of 64 bits as stores keep them: decimal text, so that every store and every reader agrees.

import { MortiseError } from "../../api/errors.ts";

const LEAST = -(2n ** 63n);
const MOST = 2n ** 63n - 1n;
/** No plus sign, no leading zeros, no "-0": the form that Redis itself accepts. */
const CANONICAL = /^(?:0|-?[1-9][0-9]{0,18})$/;

/** Why a sum cannot be formed. */
export type NumberProblem = "none" | "range";

const REASONS: Readonly<Record<NumberProblem, string>> = {
  none: "its value is not a whole number of 64 bits in decimal digits",
  range: "the sum would not fit into 64 bits",
};

/** True for a number that fits into 64 bits with its sign. */
export function fits64(value: bigint): boolean {
  return value >= LEAST && value <= MOST;
}

/** Adds to what a key holds, or to 0 if that is undefined. */
export function addDecimal(current: Uint8Array | undefined, delta: bigint): bigint | NumberProblem {
  const text = current === undefined ? "0" : current.length > 20 ? "" : Buffer.from(current).toString("latin1");
  if (!CANONICAL.test(text)) return "none";
  const value = BigInt(text);
  if (!fits64(value)) return "none";
  const sum = value + delta;
  return fits64(sum) ? sum : "range";
}

/** The error for a key that cannot be added to. */
export function notANumber(store: string, namespace: string, key: string, problem: NumberProblem): MortiseError {
  return new MortiseError("MORTISE_STORE_NOT_A_NUMBER", { store, namespace, key, reason: REASONS[problem] });
}
