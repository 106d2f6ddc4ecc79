// Assembles text that wabt does not take: garbage collection, typed references.

/** The binary of a text module. */
export async function assembleWithBinaryen(source: string): Promise<Uint8Array<ArrayBuffer>> {
  // Loaded on demand: it takes longer to start than to assemble everything else.
  const { default: binaryen } = await import("binaryen");
  const parsed = binaryen.parseText(source);
  try {
    parsed.setFeatures(binaryen.Features.All);
    return Uint8Array.from(parsed.emitBinary());
  } finally {
    parsed.dispose();
  }
}
