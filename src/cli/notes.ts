// Notes on stderr: what a command does that its user may not expect.

import type { ResolvedManifest } from "../manifest/manifest.ts";
import type { GivenGrants } from "./plugin-flags.ts";
import { paint, visible } from "./terminal.ts";

/** Hosts and folders that a note names. */
const SHOWN = 8;

/** Writes a note to stderr; nothing in its text can act on a terminal. */
export function printNote(text: string): void {
  process.stderr.write(`${paint(process.stderr, "dim", `mortise: note: ${visible(text)}`)}\n`);
}

/** What a manifest asks for and does not get; undefined if it gets everything. Hosts and folders that are given replace its own. */
export function refusedGrants(
  { allowedHosts, allowedPaths }: Pick<ResolvedManifest, "allowedHosts" | "allowedPaths">,
  { hosts, folders, manifestGrants = false }: GivenGrants,
): string | undefined {
  if (manifestGrants) return undefined;
  const paths = allowedPaths.map(({ hostPath, guestPath, readOnly }) => `${hostPath}:${guestPath}${readOnly ? ":ro" : ""}`);
  const refused = [hosts === undefined ? named("host", allowedHosts) : [], folders === undefined ? named("folder", paths) : []].flat();
  return refused.length === 0 ? undefined : `not granted: ${refused.join("; ")}; --manifest-grants grants what the manifest asks for`;
}

function named(what: string, items: readonly string[]): string[] {
  if (items.length === 0) return [];
  const more = items.length > SHOWN ? ` and ${items.length - SHOWN} more` : "";
  return [`${what}${items.length === 1 ? "" : "s"} ${items.slice(0, SHOWN).join(", ")}${more}`];
}
