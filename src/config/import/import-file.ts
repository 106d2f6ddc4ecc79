// Imports the configuration of another system from a file.

import { MortiseError } from "../../api/errors.ts";
import { positionAt, quoted } from "../../manifest/place.ts";
import { MAX_TEXT_BYTES } from "../config-text.ts";
import { configError, problem } from "../problems.ts";
import { readBoundedFile } from "../read-file.ts";
import type { ListPlugins } from "./from-helios.ts";
import { type ImportedConfig, importConfig } from "./import-config.ts";

/**
 * {@link importConfig} of a file of 1 MiB at most.
 *
 * @throws MortiseError MORTISE_SOURCE_NOT_FOUND, MORTISE_SOURCE_UNREADABLE or MORTISE_CONFIG_INVALID
 */
export async function importFile(path: string, list?: ListPlugins): Promise<ImportedConfig> {
  const content = await readBoundedFile(path, MAX_TEXT_BYTES);
  if ("fault" in content) {
    if (content.missing) throw new MortiseError("MORTISE_SOURCE_NOT_FOUND", { source: quoted(path) });
    throw new MortiseError("MORTISE_SOURCE_UNREADABLE", { source: quoted(path), reason: `it ${content.fault}` });
  }
  return importConfig(decode(content.bytes, path), { source: path, ...(list === undefined ? {} : { list }) });
}

function decode(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const text = new TextDecoder().decode(bytes);
    throw configError([problem(quoted(path), "it is not valid UTF-8", positionAt(text, Math.max(text.indexOf("\ufffd"), 0)))]);
  }
}
