// Reads the labels that plugins give with their samples: a JSON object of texts.

import type { MetricLabels } from "./metric-series.ts";

/** Labels of one sample. */
const MAX_LABELS = 8;
/** Bytes of all label names and values of one sample. */
const MAX_LABEL_BYTES = 512;
/** Characters of the JSON; with every character escaped it is six times its content. */
const MAX_JSON_CHARS = 8192;
const NAME = /^[a-zA-Z_][a-zA-Z0-9_]{0,63}$/;
/** Names with a meaning of their own in what is exported. */
const RESERVED: ReadonlySet<string> = new Set(["plugin", "le", "quantile"]);

/** Labels with what makes two sets the same; or why they are wrong; or which bound they pass. */
export type ReadLabels =
  | { readonly labels: MetricLabels; readonly key: string }
  | { readonly wrong: string }
  | { readonly over: { readonly what: string; readonly limit: string } };

const NONE: ReadLabels = { labels: Object.freeze({}), key: "" };

/**
 * Reads labels. The form of the JSON is the plugin's doing, and a fault in it wrong; how long values get may depend on
 * the requests it serves, and is a bound to pass.
 */
export function readLabels(json: string): ReadLabels {
  if (json === "" || json === "{}") return NONE;
  if (json.length > MAX_JSON_CHARS) return over(`the JSON of its labels with ${json.length} characters`, `${MAX_JSON_CHARS} characters`);
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return { wrong: "is not JSON" };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return { wrong: "must be a JSON object" };
  const entries: [string, string][] = [];
  let bytes = 0;
  for (const [name, text] of Object.entries(value)) {
    if (!NAME.test(name) || name.startsWith("__"))
      return { wrong: `has the label name ${JSON.stringify(name)}, which must match [a-zA-Z_][a-zA-Z0-9_]*` };
    if (RESERVED.has(name)) return { wrong: `has the label name "${name}", which is reserved` };
    if (typeof text !== "string") return { wrong: `has a label "${name}" that is not text` };
    if (!text.isWellFormed()) return { wrong: `has a label "${name}" with half of a surrogate pair` };
    entries.push([name, text]);
    bytes += name.length + Buffer.byteLength(text);
  }
  if (entries.length > MAX_LABELS) return { wrong: `has ${entries.length} labels, but can have ${MAX_LABELS} at most` };
  if (bytes > MAX_LABEL_BYTES) return over(`a label set of ${bytes} bytes`, `${MAX_LABEL_BYTES} bytes`);
  const sorted = entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
  return { labels: Object.freeze(Object.fromEntries(sorted)), key: JSON.stringify(sorted) };
}

function over(what: string, limit: string): ReadLabels {
  return { over: { what, limit } };
}
