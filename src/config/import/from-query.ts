// Reads .query/plugins.toml, the record that Query keeps of the plugins that it has installed.

import type { Origin } from "../../manifest/place.ts";
import type { Draft, DraftPlugin, ImportedTable } from "./draft.ts";
import { Notes, whereFrom } from "./draft.ts";
import { requireText, tablesAt } from "./fields.ts";
import { type TakenNames, freeName } from "./plugin-entry.ts";
import { hasCredentials } from "./plugin-values.ts";

const KEYS = ["name", "tag", "url", "sha256", "repo_url", "published_at"];
/** Where Query puts modules unless Query.toml says otherwise. */
const FOLDER = "plugins";

/**
 * Reads a record of Query.
 *
 * @throws MortiseError MORTISE_CONFIG_INVALID for an entry without a name
 */
export function fromQuery(root: ImportedTable, origin: Origin): Draft {
  const notes = new Notes(origin);
  notes.addUnknown(root, ["plugin"], [], "it is read by nobody there");
  const taken: TakenNames = new Set();
  const plugins = tablesAt(origin, root["plugin"], ["plugin"]).map((entry, index) => readEntry(entry, index, origin, notes, taken));
  if (plugins.length > 0) {
    notes.add(
      ["plugin"],
      "the folder of the modules",
      `they are taken to be in "${FOLDER}" beside the new file, as in a project of Query's`,
      "put the file into the folder of the project, or correct the sources",
    );
    notes.add(
      ["plugin"],
      "what plugins may do",
      "functions granted that for themselves with each call there; here the operator says what they may grant at most",
      "write limits and permissions",
    );
  }
  return { system: "Query", tables: {}, plugins, notes: notes.list };
}

function readEntry(entry: ImportedTable, index: number, origin: Origin, notes: Notes, taken: TakenNames): DraftPlugin {
  const place = ["plugin", index] as const;
  const wanted = requireText(origin, entry, "name", place);
  notes.addUnknown(entry, KEYS, place, "it is read by nobody there");
  const digest = readDigest(entry["sha256"], [...place, "sha256"], notes);
  const file = wanted.split(/[\\/]/).at(-1) ?? wanted;
  if (file !== wanted) notes.add([...place, "name"], "a name with folders", "Query names files of one folder", "correct the source");
  return {
    comments: [whereFrom(origin, place), ...origins(entry, place, notes)],
    table: {
      name: freeName(notes, wanted, [...place, "name"], taken),
      source: `${FOLDER}/${file}`,
      ...(digest === undefined ? {} : { digest }),
      abi: "extism",
    },
  };
}

/** Where the module came from, as comments. */
function origins(
  { repo_url: repository, tag, url, published_at: published }: ImportedTable,
  place: readonly (string | number)[],
  notes: Notes,
): string[] {
  const lines: string[] = [];
  if (typeof repository === "string" && repository !== "")
    lines.push(`installed from ${repository}${typeof tag === "string" && tag !== "" ? `, release ${tag}` : ""}`);
  if (typeof published === "string" && published !== "") lines.push(`published ${published}`);
  if (typeof url === "string" && url !== "") lines.push(`downloaded from ${url}`);
  const kept = lines.filter((line) => !line.split(" ").some(hasCredentials));
  if (kept.length < lines.length) notes.add(place, "a user name or password in a URL", "it would stand in a comment", "nothing");
  return kept;
}

/** The text of the file that came with a release: digits, in some with the file's name behind them. */
function readDigest(value: unknown, place: readonly (string | number)[], notes: Notes): string | undefined {
  if (value === undefined || value === null || value === "") {
    notes.add(
      place,
      "an empty sha256",
      "the release came without one, and nothing was ever verified",
      "write digest with what sha256sum says of a module that you trust",
    );
    return undefined;
  }
  const digits = typeof value === "string" ? /^\s*(?:sha256:)?([0-9a-fA-F]{64})(?:\s.*)?$/s.exec(value)?.[1] : undefined;
  if (digits === undefined) {
    notes.add(
      place,
      "a sha256 that is none",
      "it must begin with 64 hexadecimal digits, which Query never looked at",
      "write digest with what sha256sum says of a module that you trust",
    );
    return undefined;
  }
  return `sha256:${digits.toLowerCase()}`;
}
