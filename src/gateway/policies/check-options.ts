// Checks of options: what is wrong is said with the option's name.

import { MortiseError, didYouMean, printable } from "mortise";

/** The error for a bad option. */
export function invalidOption(option: string, found: unknown, wanted: string): MortiseError {
  return new MortiseError("MORTISE_INVALID_OPTION", { option, found: printable(found), wanted });
}

/**
 * @param option its name; empty for the options themselves
 * @throws MortiseError MORTISE_INVALID_OPTION for what is no object, or has a key that is not known
 */
export function checkKeys(value: unknown, option: string, known: readonly string[]): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalidOption(option || "options", describe(value), "an object");
  for (const key of Object.keys(value))
    if (!known.includes(key))
      throw invalidOption(option === "" ? key : `${option}.${key}`, "unknown", `one of ${known.join(", ")}${didYouMean(key, known)}`);
}

/** @throws MortiseError MORTISE_INVALID_OPTION */
export function checkWhole(value: unknown, option: string, least: number, most: number): void {
  if (!(Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most))
    throw invalidOption(option, describe(value), `a whole number from ${least} to ${most}`);
}

/** @throws MortiseError MORTISE_INVALID_OPTION */
export function checkMs(
  value: unknown,
  option: string,
  { zero = false, most = 86_400_000 }: { readonly zero?: boolean; readonly most?: number } = {},
): void {
  if (!(typeof value === "number" && value <= most && (zero ? value >= 0 : value > 0)))
    throw invalidOption(option, describe(value), `milliseconds, ${zero ? "0" : "more than 0"} to ${most}`);
}

/** @throws MortiseError MORTISE_INVALID_OPTION */
export function checkText(value: unknown, option: string): asserts value is string {
  if (typeof value !== "string" || value === "") throw invalidOption(option, describe(value), "text that is not empty");
}

/** @throws MortiseError MORTISE_INVALID_OPTION */
export function checkWeight(value: unknown, option: string): void {
  if (!(typeof value === "number" && value >= 0 && value <= 1_000_000)) throw invalidOption(option, describe(value), "a number from 0 to 1000000");
}

/** Defaults, laid over with what is given. */
export function withDefaults<Options extends object>(
  defaults: Options,
  given: { readonly [Key in keyof Options]?: Options[Key] | undefined },
): Options {
  const stated = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return { ...defaults, ...(stated as Partial<Options>) };
}

function describe(value: unknown): string {
  return typeof value === "string" ? `"${value}"` : typeof value === "object" && value !== null ? "an object" : String(value);
}
