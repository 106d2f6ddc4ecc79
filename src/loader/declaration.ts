// What a module says of itself in its custom section "mortise": JSON, of which nothing grants anything.

import { MortiseError, printable } from "../api/errors.ts";
import type { ParsedModule } from "../wasm/module-reader.ts";

const SECTION = "mortise";
const MAX_BYTES = 65_536;
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What a plugin says of itself. */
export interface Declaration {
  /** Filters by the name of the hook or function: inputs that match none of a hook's conditions are not for the plugin. */
  readonly filters: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

const NOTHING: Declaration = { filters: {} };

/**
 * Reads what a module declares; what it leaves out is empty.
 *
 * @throws MortiseError MORTISE_MANIFEST_INVALID
 */
export function readDeclaration(module: ParsedModule, plugin: string): Declaration {
  const section = module.sections.find(({ id, name }) => id === 0 && name === SECTION);
  if (section === undefined) return NOTHING;
  const fail = (reason: string): MortiseError =>
    new MortiseError("MORTISE_MANIFEST_INVALID", { source: `the custom section "${SECTION}" of plugin "${plugin}"`, at: "", reason });
  // The name comes first, and before it its length in LEB128.
  let at = section.start;
  while ((module.bytes[at++] as number) >= 0x80);
  const bytes = module.bytes.subarray(at + SECTION.length, section.end);
  if (bytes.length > MAX_BYTES) throw fail(`it has ${bytes.length} bytes, but at most ${MAX_BYTES} are read`);
  return declared(parse(bytes, fail), fail);
}

function parse(bytes: Uint8Array, fail: (reason: string) => MortiseError): unknown {
  try {
    return JSON.parse(strict.decode(bytes));
  } catch (error) {
    throw fail(`it is not JSON: ${printable((error as Error).message)}`);
  }
}

function declared(value: unknown, fail: (reason: string) => MortiseError): Declaration {
  if (!isRecord(value)) throw fail("it must be an object");
  for (const key of Object.keys(value)) {
    if (key !== "hooks") throw fail(`"${printable(key)}" is unknown; it may have "hooks"`);
  }
  const { hooks = {} } = value;
  if (!isRecord(hooks)) throw fail(`"hooks" must be an object`);
  const filters: Record<string, Record<string, unknown>> = Object.create(null);
  for (const [name, hook] of Object.entries(hooks)) {
    if (!isRecord(hook)) throw fail(`hook "${printable(name)}" must be an object`);
    const { filter, ...others } = hook;
    const [unknown] = Object.keys(others);
    if (unknown !== undefined) throw fail(`"${printable(unknown)}" of hook "${printable(name)}" is unknown; it may have "filter"`);
    if (filter === undefined) continue;
    if (!isRecord(filter)) throw fail(`the filter of hook "${printable(name)}" must be an object`);
    filters[name] = filter;
  }
  return { filters };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
