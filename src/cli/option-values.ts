// Reads the values of options; what is wrong with one becomes part of commander's message.

import { InvalidArgumentError } from "commander";

/** A whole number, 1 or more. */
export function parseWholeNumber(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(Number.isSafeInteger(value) && value > 0)) throw new InvalidArgumentError("It must be a whole number, 1 or more.");
  return value;
}

/** Mebibytes that a memory can have. */
export function parseMemory(text: string): number {
  const value = parseWholeNumber(text);
  if (value > 4096) throw new InvalidArgumentError("It must be 4096 or less, the most that 32-bit memories have.");
  return value;
}

/** Adds `key=value` to what earlier `--config` options gave; the last one for a key counts. */
export function parseConfig(text: string, earlier: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("It must be KEY=VALUE.");
  return Object.fromEntries([...Object.entries(earlier), [text.slice(0, at), text.slice(at + 1)]]);
}
