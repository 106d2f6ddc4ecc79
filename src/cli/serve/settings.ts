// What is served: a configuration from a file, or the one that is built in.

import { stat } from "node:fs/promises";

import type { Config } from "../../config/config.ts";
import { parseConfig, readConfig } from "../../config/read-config.ts";

/** The file that is meant where none is named, if it is there. */
export const STANDARD_FILE = "mortise.toml";

/** What is served where nobody says anything else: docs/gateway-operations.md shows it. */
export const EMBEDDED = `[[gateway.providers]]
name = "echo"
source = "builtin:echo"
models = ["echo"]

[[plugins]]
name = "budget"
source = "builtin:budget"
stateless = true
pool.max_instances = 4
order = 10
config = { tokens = 100000, window = "hour" }
permissions.kv = "read-write"
permissions.clock = true
permissions.attributes = { read = ["client", "budget.*"], write = ["budget.*"] }

[[plugins]]
name = "guard"
source = "builtin:guard"
stateless = true
pool.max_instances = 4
order = 20

[[plugins]]
name = "pii"
source = "builtin:pii"
stateless = true
pool.max_instances = 4
order = 50
permissions.attributes = { read = ["pii.*"], write = ["pii.*"] }
`;

/** Where a configuration comes from, read anew each time. */
export interface Settings {
  /** The file; undefined for what is built in. */
  readonly file: string | undefined;
  /** @throws MortiseError MORTISE_CONFIG_INVALID, MORTISE_SOURCE_NOT_FOUND, MORTISE_SOURCE_UNREADABLE */
  read(): Promise<Config>;
}

/** The file that is named; else mortise.toml of the working directory, if it is there; else what is built in. */
export async function findSettings(named: string | undefined): Promise<Settings> {
  const file = named ?? ((await isThere(STANDARD_FILE)) ? STANDARD_FILE : undefined);
  if (file !== undefined) return { file, read: () => readConfig(file) };
  return { file, read: () => parseConfig(EMBEDDED, { source: "the built-in configuration" }) };
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
