// Assembles text modules: the corpus, the attacks, and what tests write inline.
import loadWabt from "wabt";

/** First line of a file that wabt cannot assemble; binaryen drops dead code, so it is not the default. */
const BINARYEN_MARK = ";; assembler: binaryen";

const FEATURES = {
  exceptions: true,
  mutable_globals: true,
  sat_float_to_int: true,
  sign_extension: true,
  simd: true,
  threads: true,
  multi_value: true,
  tail_call: true,
  bulk_memory: true,
  reference_types: true,
  annotations: true,
  memory64: true,
  multi_memory: true,
  extended_const: true,
  relaxed_simd: true,
};

let wabt: ReturnType<typeof loadWabt> | undefined;

/** The binary of a text module, from the assembler that its first line names. */
export async function assembleText(name: string, source: string): Promise<Uint8Array<ArrayBuffer>> {
  return source.startsWith(BINARYEN_MARK) ? assembleWithBinaryen(source) : assembleWithWabt(name, source);
}

/** What a file says of itself: its first comment, the mark of its assembler apart. */
export function firstComment(source: string): string {
  const comment = source.split("\n").find((line) => line.startsWith(";; ") && line !== BINARYEN_MARK);
  return comment?.slice(3) ?? "";
}

async function assembleWithWabt(name: string, source: string): Promise<Uint8Array<ArrayBuffer>> {
  const parsed = parseText(await (wabt ??= loadWabt()), name, source);
  try {
    return Uint8Array.from(parsed.toBinary({ write_debug_names: true }).buffer);
  } finally {
    parsed.destroy();
  }
}

type Wabt = Awaited<ReturnType<typeof loadWabt>>;

function parseText(assembler: Wabt, name: string, source: string): ReturnType<Wabt["parseWat"]> {
  try {
    return assembler.parseWat(name, source, FEATURES);
  } catch (error) {
    // Thrown anew and alone: the assembler is one long line, which an error of its own would print.
    // oxlint-disable-next-line preserve-caught-error
    throw new Error(`Cannot assemble "${name}": ${String(error)}`);
  }
}

async function assembleWithBinaryen(source: string): Promise<Uint8Array<ArrayBuffer>> {
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
