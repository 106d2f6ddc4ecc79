// What is wrong with a configuration, and the error that says so.

import { MortiseError, printable } from "../api/errors.ts";
import { type Origin, type Place, type TextPosition, placeName } from "../manifest/place.ts";

/** Problems that are reported at once. */
export const MAX_PROBLEMS = 20;

/** One thing that is wrong. */
export interface ConfigProblem {
  /** The file: a quoted path, or "the configuration". */
  readonly source: string;
  /** From 1; undefined where the text has no such place. */
  readonly line: number | undefined;
  readonly column: number | undefined;
  /** The place as it is written in JavaScript: `plugins[0].limits`; empty for the whole. */
  readonly place: string;
  /** What is wrong, the place's name included; safe to print. */
  readonly reason: string;
}

/** A problem before it is known where its place stands. */
export interface Finding {
  readonly place: Place;
  /** Follows the place's name. */
  readonly reason: string;
}

/** A problem at a place; if the text does not have it, at what it would be in. */
export function problemAt(origin: Origin, { place, reason }: Finding): ConfigProblem {
  let position: TextPosition | undefined;
  for (let length = place.length; length > 0 && position === undefined; length--) position = origin.locate?.(place.slice(0, length));
  const name = placeName(place);
  return problem(origin.source, `${name === "" ? "it" : name} ${reason}`, position, name);
}

/** A problem at a position. */
export function problem(source: string, reason: string, position?: TextPosition, place: string = ""): ConfigProblem {
  return { source, line: position?.line, column: position?.column, place, reason: printable(reason, 400) };
}

/** `"mortise.toml", line 12, column 3`. */
export function whereOf({ source, line, column }: ConfigProblem): string {
  return source + atOf({ line, column });
}

function atOf({ line, column }: Pick<ConfigProblem, "line" | "column">): string {
  return line === undefined || column === undefined ? "" : `, line ${line}, column ${column}`;
}

/**
 * The error for problems, of which there is one at least: its message has the first, its details have all, 20 at most.
 *
 * @param count how many there are in all
 */
export function configError(problems: readonly ConfigProblem[], count: number = problems.length): MortiseError {
  const [first = problem("the configuration", "it is wrong")] = problems;
  const { source, reason, place, line, column } = first;
  const others = count - 1;
  return new MortiseError("MORTISE_CONFIG_INVALID", {
    source,
    at: atOf(first),
    reason,
    more: others === 0 ? "" : `; there ${others === 1 ? "is 1 more problem" : `are ${others} more problems`}`,
    place,
    line,
    column,
    problems: problems.slice(0, MAX_PROBLEMS),
    count,
  });
}
