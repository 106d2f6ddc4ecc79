// The text of a configuration as values, and where they stand.

import { locateInJson, parseJson } from "../manifest/json-reader.ts";
import { type Origin, type Place, positionAt } from "../manifest/place.ts";
import { parseToml } from "../manifest/toml-reader.ts";
import { locator } from "./place-tree.ts";
import { type ConfigProblem, MAX_PROBLEMS, configError, problem, problemAt } from "./problems.ts";
import { tomlPlaces } from "./toml-places.ts";
import { parseYaml } from "../manifest/yaml-reader.ts";

/** Bytes that one file may have. */
export const MAX_TEXT_BYTES: number = 1 << 20;
/** Deepest nesting of tables and arrays; a configuration of a plugin's own may need some. */
const MAX_DEPTH = 32;
/** Values of one file, also where aliases repeat them. */
const MAX_VALUES = 200_000;

/** How a configuration is written. */
export type ConfigFormat = "toml" | "json" | "yaml";

/** A text that was read. */
export interface ConfigDocument {
  readonly value: unknown;
  readonly origin: Origin;
}

/** What the name of a file says of its format. */
export function formatOf(path: string): ConfigFormat {
  if (/\.json$/i.test(path)) return "json";
  return /\.ya?ml$/i.test(path) ? "yaml" : "toml";
}

/**
 * Reads a text. Tables have no prototype, keys are unique, `__proto__` is refused, and so is what UTF-8 cannot express.
 *
 * @param source the text in messages: a quoted path
 * @throws MortiseError MORTISE_CONFIG_INVALID
 */
export async function parseText(given: string, format: ConfigFormat, source: string): Promise<ConfigDocument> {
  const fail = (reason: string, position?: ConfigPosition): never => {
    throw configError([problem(source, reason, position)]);
  };
  if (given.length > MAX_TEXT_BYTES || Buffer.byteLength(given) > MAX_TEXT_BYTES)
    fail(`it has more than the ${MAX_TEXT_BYTES} bytes that it may have`);
  const text = given.startsWith("\ufeff") ? given.slice(1) : given;
  const document = await read(text, format, source, fail);
  const problems = oddities(document);
  if (problems.length > 0) throw configError(problems);
  return document;
}

type ConfigPosition = { readonly line: number; readonly column: number } | undefined;
type Fail = (reason: string, position?: ConfigPosition) => never;

async function read(text: string, format: ConfigFormat, source: string, fail: Fail): Promise<ConfigDocument> {
  switch (format) {
    case "json": {
      const value = parseJson(text, (reason, offset) => fail(reason, positionAt(text, offset)));
      return { value, origin: { source, locate: (place) => locateInJson(text, place) } };
    }
    case "yaml": {
      const { value, locate } = await parseYaml(text, fail);
      return { value, origin: { source, locate } };
    }
    case "toml":
      return { value: await parseToml(text, fail), origin: { source, locate: locator(text, tomlPlaces) } };
    default:
      return format satisfies never;
  }
}

/** What no configuration may hold, whatever its keys mean. Not recursive: a dotted key can have any number of parts. */
function oddities({ value, origin }: ConfigDocument): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const waiting: { readonly value: unknown; readonly place: Place }[] = [{ value, place: [] }];
  let left = MAX_VALUES;
  for (let next = waiting.pop(); next !== undefined && problems.length < MAX_PROBLEMS; next = waiting.pop()) {
    const { value: current, place } = next;
    if (left-- === 0) return [problem(origin.source, `it has more than ${MAX_VALUES} values`)];
    if (typeof current === "string" && !current.isWellFormed())
      problems.push(problemAt(origin, { place, reason: "holds half of a surrogate pair, which no UTF-8 can express" }));
    if (typeof current !== "object" || current === null || current instanceof Date) continue;
    if (place.length > MAX_DEPTH) return [problem(origin.source, `there are more than ${MAX_DEPTH} levels`, origin.locate?.(place))];
    const members: [string | number, unknown][] = Array.isArray(current) ? [...(current as unknown[]).entries()] : Object.entries(current);
    for (const [key, member] of members.toReversed()) {
      const at = [...place, key];
      if (key === "__proto__" || (typeof key === "string" && !key.isWellFormed()))
        problems.push(problemAt(origin, { place: at, reason: "is a key that nothing can be called" }));
      else waiting.push({ value: member, place: at });
    }
  }
  return problems;
}
