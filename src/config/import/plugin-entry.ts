// What the entries of all systems have in common: names, sources, and files that are no WebAssembly.

import { isAbsolute } from "node:path";

import type { Place } from "../../manifest/place.ts";
import type { Notes } from "./draft.ts";
import { hasCredentials } from "./plugin-values.ts";

/** Names that were given already. */
export type TakenNames = Set<string>;

/** A name that mortise.toml may have, and that no other plugin has. */
export function freeName(notes: Notes, wanted: string, place: Place, taken: TakenNames): string {
  const base =
    wanted
      .replaceAll(/[^A-Za-z0-9._-]+/g, "-")
      .replace(/^[^A-Za-z0-9]+/, "")
      .slice(0, 56) || "plugin";
  let name = base;
  for (let count = 2; taken.has(name); count++) name = `${base}-${count}`;
  taken.add(name);
  if (name !== wanted)
    notes.add(
      place,
      `the name, which became "${name}"`,
      base === wanted ? "two plugins have it" : "names are letters, digits, dots, dashes and underscores",
      "use the new name",
    );
  return name;
}

/** True for a library of the machine: a Rust or Go plugin. */
export function isLibrary(path: string): boolean {
  return /\.(?:so|dylib|dll)$/i.test(path);
}

/** The source without a password, with notes on what differs. */
export function carrySource(notes: Notes, path: string, place: Place, start: string): string {
  if (hasCredentials(path)) {
    const url = new URL(path);
    url.username = "";
    url.password = "";
    notes.add(place, "a user name or password in a URL", "sources are printed in messages", "serve the module without, or keep it in a file");
    return carrySource(notes, url.href, place, start);
  }
  if (path.startsWith("oci://")) {
    const pin = path.includes("@sha256:") ? " its digest is that of the image, not of the module;" : "";
    notes.add(
      place,
      "a module in a registry",
      `plugins are loaded from files and from http: or https: here;${pin} nothing loads it as it stands`,
      "pull the module to a file, name the file as source, and pin it with digest",
    );
    return path;
  }
  if (!/^[a-z][a-z0-9+.-]+:/i.test(path) && !isAbsolute(path))
    notes.add(
      place,
      "a relative path",
      `it starts at ${start} there, and at the folder of the configuration here`,
      "put the configuration there, or correct the path",
    );
  return path;
}
