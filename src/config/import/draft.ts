// What an import makes before it is written: tables of mortise.toml with comments, and notes on what could not be carried.

import { printable } from "../../api/errors.ts";
import { type Origin, type Place, placeName, quoted } from "../../manifest/place.ts";

/** Systems whose configurations can be read. */
export type ImportedSystem = "QueryMT" | "Query" | "Bifrost" | "HeliosProxy";

/** Something that was not carried as it was. No value that may be a secret is in it. */
export interface ImportNote {
  /** Where it stands in what was imported: `providers[0].config.api_key`; empty for the whole. */
  readonly place: string;
  /** From 1; undefined if the text has no such place. */
  readonly line: number | undefined;
  readonly column: number | undefined;
  readonly what: string;
  readonly why: string;
  /** What the operator does about it. */
  readonly todo: string;
}

/** The table of a plugin or provider, or only comments for one that was left out. */
export interface DraftPlugin {
  readonly comments: readonly string[];
  /** Keys and values; undefined if it was left out. */
  readonly table: Readonly<Record<string, unknown>> | undefined;
}

/** Everything that becomes a file. */
export interface Draft {
  readonly system: ImportedSystem;
  /** Tables other than plugins, by name. */
  readonly tables: Readonly<Record<string, unknown>>;
  /** Elements of `[[gateway.providers]]`. @default none */
  readonly providers?: readonly DraftPlugin[];
  /** Elements of `[[plugins]]`. */
  readonly plugins: readonly DraftPlugin[];
  readonly notes: readonly ImportNote[];
}

/** A table of the text that is imported. */
export type ImportedTable = Readonly<Record<string, unknown>>;

/** Notes that are kept; one more says how many there were. */
const MAX_NOTES = 500;

/** Collects notes. */
export class Notes {
  readonly list: ImportNote[] = [];
  readonly #origin: Origin;
  #dropped = 0;

  constructor(origin: Origin) {
    this.#origin = origin;
  }

  add(place: Place, what: string, why: string, todo: string): void {
    if (this.list.length >= MAX_NOTES) {
      this.#dropped++;
      this.list[MAX_NOTES - 1] = {
        ...note("", undefined),
        what: `${this.#dropped + 1} more notes`,
        why: `only ${MAX_NOTES} are kept`,
        todo: "split the file",
      };
      return;
    }
    let position: { readonly line: number; readonly column: number } | undefined;
    for (let length = place.length; length > 0 && position === undefined; length--) position = this.#origin.locate?.(place.slice(0, length));
    this.list.push({ ...note(placeName(place), position), what: printable(what), why: printable(why), todo: printable(todo) });
  }

  /** Says of each key that nobody reads it. */
  addUnknown(table: ImportedTable, known: readonly string[], place: Place, why: string): void {
    for (const key of Object.keys(table))
      if (!known.includes(key)) this.add([...place, key], `the key ${quoted(key)}`, why, "look whether it is misspelt; otherwise nothing");
  }
}

function note(
  place: string,
  position: { readonly line: number; readonly column: number } | undefined,
): Pick<ImportNote, "place" | "line" | "column"> {
  return { place, line: position?.line, column: position?.column };
}

/** `providers[0], line 3`, for comments. */
export function whereFrom(origin: Origin, place: Place): string {
  const position = origin.locate?.(place);
  return `${placeName(place)}${position === undefined ? "" : `, line ${position.line}`}`;
}
