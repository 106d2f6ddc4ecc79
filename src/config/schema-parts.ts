// The kinds of values that a configuration has. A message of zod is what a value must be, in the words of ours.

import * as z from "zod";

import { type NumberKey, type NumberKeys } from "./number-keys.ts";

/** What an editor shows of a key, and what holds where it is absent. */
type About = { readonly description: string; readonly default?: unknown };

function about(description: string, standard?: unknown): About {
  return standard === undefined ? { description } : { description, default: standard };
}

/** Words for what a value must be. */
export const WANTED = {
  text: "text",
  filled: "text of at least one character",
  flag: "true or false",
  table: "a table",
  list: "an array",
  secret: "text, { env = NAME } or { file = PATH }",
} as const;

/** Text of at least one character without NUL. */
export function filled(description: string, standard?: string): z.ZodString {
  return z
    .string({ error: WANTED.filled })
    .regex(/^[^\0]+$/, { error: WANTED.filled })
    .meta(about(description, standard));
}

/** Any text. */
export function text(description: string): z.ZodString {
  return z.string({ error: WANTED.text }).meta(about(description));
}

/** Text of a form. */
export function formed(pattern: RegExp, wanted: string, description: string): z.ZodString {
  return z.string({ error: wanted }).regex(pattern, { error: wanted }).meta(about(description));
}

/** One of a few words. */
export function oneOf<const T extends readonly [string, ...string[]]>(
  words: T,
  description: string,
  standard?: T[number],
): z.ZodEnum<z.core.util.ToEnum<T[number]>> {
  return z.enum(words, { error: choice(words) }).meta(about(description, standard));
}

/** `one of "a", "b"`, or `"a"`. */
export function choice(words: readonly string[]): string {
  const quoted = words.map((word) => `"${word}"`).join(", ");
  return words.length === 1 ? quoted : `one of ${quoted}`;
}

/** True or false. */
export function flag(description: string, standard?: boolean): z.ZodBoolean {
  return z.boolean({ error: WANTED.flag }).meta(about(description, standard));
}

/** A list. */
export function list<T extends z.ZodType>(element: T, description: string, standard?: unknown): z.ZodArray<T> {
  return z.array(element, { error: WANTED.list }).meta(about(description, standard));
}

/** A table with known keys. */
export function table<T extends z.core.$ZodShape>(shape: T, description: string): z.ZodObject<T, z.core.$strict> {
  return z.strictObject(shape, { error: WANTED.table }).meta(about(description));
}

/** A table with keys that the user chooses. */
export function mapOf<T extends z.ZodType>(key: z.ZodString, value: T, description: string): z.ZodRecord<z.ZodString, T> {
  return z.record(key, value, { error: WANTED.table }).meta(about(description));
}

/** Text in the clear, or where it is. */
export function secretText(description: string): z.ZodType<string | { env: string } | { file: string }> {
  return z.union([z.string(), secretTable()], { error: WANTED.secret }).meta(about(description));
}

/** A table that names a secret. */
export function secretTable(): z.ZodType<{ env: string } | { file: string }> {
  return z.union(
    [
      table(
        { env: formed(/^[A-Za-z_][A-Za-z0-9_]{0,255}$/, "the name of an environment variable", "Name of an environment variable.") },
        "A secret in a variable.",
      ),
      table({ file: filled("Path of a file; a relative one starts at the folder of the configuration.") }, "A secret in a file."),
    ],
    { error: WANTED.secret },
  );
}

/** A number, as its key says. */
export function numeric(key: NumberKey): z.ZodType<number | "unlimited"> {
  const wanted = numberWords(key);
  const { least, most, whole, standard, unlimited, description } = key;
  const plain = (whole ? z.int({ error: wanted }) : z.number({ error: wanted })).min(least, { error: wanted }).max(most, { error: wanted });
  const meta = about(description, standard === Number.POSITIVE_INFINITY ? "unlimited" : standard);
  return (unlimited ? z.union([plain, z.literal("unlimited")], { error: wanted }) : plain).meta(meta) as z.ZodType<number | "unlimited">;
}

function numberWords({ least, most, scale, whole, unlimited }: NumberKey): string {
  const kind = whole ? "a whole number" : "a number";
  const ends = most * scale < Number.MAX_SAFE_INTEGER / 2;
  // What a least value of almost nothing keeps out is 0.
  const positive = `more than 0${ends ? `, and ${most} at most` : ""}`;
  const range = least > 0 && least < 0.01 ? positive : ends ? `from ${least} to ${most}` : `from ${least} up`;
  return `${kind} ${range}${unlimited ? ', or "unlimited"' : ""}`;
}

/**
 * The shape of a table of numbers, all optional.
 *
 * @param standards whether what holds where a number is absent is said of it
 */
export function numbers<Name extends string>(
  keys: NumberKeys<Name>,
  standards: boolean = true,
): Record<string, z.ZodOptional<z.ZodType<number | "unlimited">>> {
  const specs: readonly NumberKey[] = Object.values(keys);
  return Object.fromEntries(specs.map((spec) => [spec.key, numeric(standards ? spec : { ...spec, standard: undefined }).optional()]));
}

const NAME_WORDS = 'a name of letters, digits, ".", "_" and "-", 64 characters at most';

/** A name. */
export function name(description: string): z.ZodString {
  return formed(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, NAME_WORDS, description);
}

/** A digest, as `sha256:…`. */
export function digest(description: string): z.ZodString {
  return formed(/^sha256:[0-9a-f]{64}$/, '"sha256:" and 64 hexadecimal digits in lower case', description);
}

const ISOLATIONS = ["inline", "thread", "process"] as const;
const LOG_LEVELS = ["trace", "debug", "info", "warn", "error"] as const;

/** Where a plugin runs. */
export const isolation: z.ZodEnum<z.core.util.ToEnum<(typeof ISOLATIONS)[number]>> = oneOf(
  ISOLATIONS,
  "Where the plugin runs: in this thread, in a worker thread, or in a process of its own.",
  "inline",
);
/** Which log lines of a plugin are kept. */
export const logLevel: z.ZodEnum<z.core.util.ToEnum<(typeof LOG_LEVELS)[number]>> = oneOf(
  LOG_LEVELS,
  "Least severe level of the plugin's log lines that are kept.",
  "info",
);
