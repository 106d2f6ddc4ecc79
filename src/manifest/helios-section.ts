// The manifest that a module may carry in its custom section "helios_manifest".

const SECTION = "helios_manifest";
/** Sections that are looked at. */
const MAX_SECTIONS = 10_000;

/**
 * The content of the first custom section of the name. A module that is broken gives undefined: whoever compiles it will
 * say so.
 */
export function heliosSection(module: Uint8Array): Uint8Array | undefined {
  let at = 8;
  const u32 = (): number => {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = module[at++] ?? 0;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    return Number.POSITIVE_INFINITY;
  };
  for (let left = MAX_SECTIONS; left > 0 && at < module.length; left--) {
    const id = module[at++];
    const size = u32();
    const end = at + size;
    if (end > module.length) return undefined;
    if (id === 0) {
      const nameLength = u32();
      const nameEnd = at + nameLength;
      const isIt = nameLength === SECTION.length && nameEnd <= end && String.fromCharCode(...module.subarray(at, nameEnd)) === SECTION;
      if (isIt) return module.subarray(nameEnd, end);
    }
    at = end;
  }
  return undefined;
}
