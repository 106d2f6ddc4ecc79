// Three plugins that mean harm, written as the bytes of the binary format (WebAssembly core specification, chapter 5).
// Each exports `attack`, which does it, and `hello`, which does nothing: the next call, to see that it still works.

/** A plugin that a host has to stop. */
export interface HostileGuest {
  readonly name: string;
  /** What it does, in one sentence. */
  readonly does: string;
  readonly bytes: Uint8Array;
}

const OP = { loop: 0x03, br: 0x0c, end: 0x0b, call: 0x10, drop: 0x1a, i32Const: 0x41, memoryGrow: 0x40 } as const;
const NO_RESULT = 0x40;
const MAGIC_AND_VERSION = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0] as const;

/** Depth of the call bomb: function 0 leads to 2^60 calls of the last. */
const BOMB_DEPTH = 60;

/** The guests of the tour. */
export const HOSTILE_GUESTS: readonly HostileGuest[] = [
  {
    name: "loops for ever",
    does: "A loop without an exit.",
    bytes: assemble([[OP.loop, NO_RESULT, OP.br, 0, OP.end]]),
  },
  {
    name: "grows for ever",
    does: "Asks for one more page of memory, again and again, whatever the answer.",
    bytes: assemble([[OP.loop, NO_RESULT, OP.i32Const, 1, OP.memoryGrow, 0, OP.drop, OP.br, 0, OP.end]]),
  },
  {
    name: "call bomb",
    does: `No loop and no recursion: ${BOMB_DEPTH} functions, each calls the next one twice.`,
    bytes: assemble([...callBomb(BOMB_DEPTH)]),
  },
];

/** Function n calls function n + 1 twice; the last one does nothing. */
function* callBomb(depth: number): Generator<readonly number[]> {
  for (let index = 1; index <= depth; index++) yield [OP.call, index, OP.call, index];
  yield [];
}

/** A module with one memory and the given functions, none of which takes or returns anything; the first is `attack`. */
function assemble(functions: readonly (readonly number[])[]): Uint8Array {
  const bodies = [...functions, []].map((code) => sized([0, ...code, OP.end]));
  return Uint8Array.from([
    ...MAGIC_AND_VERSION,
    ...section(1, vector([[0x60, 0, 0]])),
    ...section(3, vector(bodies.map(() => [0]))),
    ...section(5, vector([[0, 1]])),
    ...section(7, vector([exported("attack", 0), exported("hello", functions.length)])),
    ...section(10, vector(bodies)),
  ]);
}

function section(id: number, contents: readonly number[]): number[] {
  return [id, ...sized(contents)];
}

function vector(items: readonly (readonly number[])[]): number[] {
  return [...unsigned(items.length), ...items.flat()];
}

function exported(name: string, functionIndex: number): number[] {
  return [...sized([...new TextEncoder().encode(name)]), 0, ...unsigned(functionIndex)];
}

function sized(contents: readonly number[]): number[] {
  return [...unsigned(contents.length), ...contents];
}

/** LEB128. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}
