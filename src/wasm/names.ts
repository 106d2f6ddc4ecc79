// Reads function names from the "name" section (core specification, appendix "Custom Sections"); never trusts it.

import { printable } from "../api/errors.ts";
import { ByteReader } from "./byte-reader.ts";
import type { ParsedModule } from "./module-reader.ts";

const FUNCTION_NAMES = 1;
/** Names that are kept; a module with more functions shows the others by index. */
const MAX_NAMES = 100_000;

/**
 * Function names by index. A missing or broken section gives what could be read; names are made safe to print,
 * since a guest chooses them.
 */
export function readFunctionNames(module: ParsedModule): ReadonlyMap<number, string> {
  let names = cache.get(module);
  if (names === undefined) {
    names = parseFunctionNames(module);
    cache.set(module, names);
  }
  return names;
}

const cache = new WeakMap<ParsedModule, ReadonlyMap<number, string>>();

function parseFunctionNames(module: ParsedModule): Map<number, string> {
  const names = new Map<number, string>();
  const section = module.sections.find(({ id, name }) => id === 0 && name === "name");
  if (section === undefined) return names;
  const reader = new ByteReader(module.bytes, module.source);
  reader.position = section.start;
  reader.end = section.end;
  try {
    reader.name();
    while (reader.position < section.end) {
      const id = reader.byte();
      const size = reader.u32();
      const end = reader.position + size;
      if (end > section.end) return names;
      if (id === FUNCTION_NAMES) {
        reader.end = end;
        for (let left = Math.min(reader.u32(), MAX_NAMES); left > 0; left--) {
          const index = reader.u32();
          names.set(index, printable(reader.name()));
        }
        return names;
      }
      reader.position = end;
    }
  } catch {
    // The section is advisory: what was read before the defect stands.
  }
  return names;
}

/** What to call a function in messages: its name, an export's name, an import's name, or its index. */
export function functionLabel(module: ParsedModule, names: ReadonlyMap<number, string>, index: number): string {
  const name = names.get(index) ?? module.exports.find((item) => item.kind === "function" && item.index === index)?.name;
  return name === undefined ? `function[${index}]` : printable(name);
}
