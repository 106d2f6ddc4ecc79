// Corpus modules whose encodings no assembler writes: every segment form, padded integers, all numeric instructions.
import {
  call,
  type Code,
  END,
  EXTERNREF,
  F32,
  f32Const,
  F64,
  f64Const,
  FUNCREF,
  I32,
  i32Const,
  I64,
  i64Const,
  ModuleBuilder,
  text,
  unsigned,
} from "./builder.ts";

interface BuiltModule {
  readonly name: string;
  readonly about: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

type Numeric = typeof I32 | typeof I64 | typeof F32 | typeof F64;

const operands: Record<Numeric, readonly Code[]> = {
  [I32]: [0, 1, -1, 2, 31, 0x7fffffff, -0x80000000, 0x12345678].map(i32Const),
  [I64]: [0n, 1n, -1n, 63n, 0x7fffffffffffffffn, -0x8000000000000000n, 0x123456789abcdefn].map(i64Const),
  [F32]: [0, -0, 1, -1.5, 0.5, 2147483648, -2147483904, 3.4e38, 1e-45, Infinity, -Infinity, NaN].map(f32Const),
  [F64]: [0, -0, 1, -1.5, 0.5, 2147483647.5, -2147483649, 1.8446744073709552e19, -9223372036854777856, 1.7e308, 5e-324, Infinity, -Infinity, NaN].map(
    f64Const,
  ),
};

interface Instruction {
  readonly code: Code;
  readonly takes: readonly Numeric[];
  readonly gives: Numeric;
}

function range(from: number, to: number, takes: readonly Numeric[], gives: Numeric): Instruction[] {
  return Array.from({ length: to - from + 1 }, (_, at) => ({ code: [from + at], takes, gives }));
}

function truncations(from: number, source: Numeric, gives: Numeric): Instruction[] {
  return [0, 1].map((at) => ({ code: [0xfc, from + at], takes: [source], gives }));
}

/** Every numeric instruction of the core, by opcode range. */
const numericInstructions: readonly Instruction[] = [
  ...range(0x45, 0x45, [I32], I32),
  ...range(0x46, 0x4f, [I32, I32], I32),
  ...range(0x50, 0x50, [I64], I32),
  ...range(0x51, 0x5a, [I64, I64], I32),
  ...range(0x5b, 0x60, [F32, F32], I32),
  ...range(0x61, 0x66, [F64, F64], I32),
  ...range(0x67, 0x69, [I32], I32),
  ...range(0x6a, 0x78, [I32, I32], I32),
  ...range(0x79, 0x7b, [I64], I64),
  ...range(0x7c, 0x8a, [I64, I64], I64),
  ...range(0x8b, 0x91, [F32], F32),
  ...range(0x92, 0x98, [F32, F32], F32),
  ...range(0x99, 0x9f, [F64], F64),
  ...range(0xa0, 0xa6, [F64, F64], F64),
  ...range(0xa7, 0xa7, [I64], I32),
  ...range(0xa8, 0xa9, [F32], I32),
  ...range(0xaa, 0xab, [F64], I32),
  ...range(0xac, 0xad, [I32], I64),
  ...range(0xae, 0xaf, [F32], I64),
  ...range(0xb0, 0xb1, [F64], I64),
  ...range(0xb2, 0xb3, [I32], F32),
  ...range(0xb4, 0xb5, [I64], F32),
  ...range(0xb6, 0xb6, [F64], F32),
  ...range(0xb7, 0xb8, [I32], F64),
  ...range(0xb9, 0xba, [I64], F64),
  ...range(0xbb, 0xbb, [F32], F64),
  ...range(0xbc, 0xbc, [F32], I32),
  ...range(0xbd, 0xbd, [F64], I64),
  ...range(0xbe, 0xbe, [I32], F32),
  ...range(0xbf, 0xbf, [I64], F64),
  ...range(0xc0, 0xc1, [I32], I32),
  ...range(0xc2, 0xc4, [I64], I64),
  ...truncations(0, F32, I32),
  ...truncations(2, F64, I32),
  ...truncations(4, F32, I64),
  ...truncations(6, F64, I64),
];

/** One exported function per instruction and pair of edge operands. */
function numericMatrix(): Uint8Array<ArrayBuffer> {
  const builder = new ModuleBuilder();
  for (const { code, takes, gives } of numericInstructions) {
    const type = builder.type([], [gives]);
    const [first, second] = takes;
    for (const left of first === undefined ? [] : operands[first]) {
      for (const right of second === undefined ? [[]] : operands[second]) {
        const index = builder.func(type, [], [...left, ...right, ...code]);
        builder.exportEntity(`test_${code.join("_")}_${index}`, "function", index);
      }
    }
  }
  return builder.build();
}

/** Where an active segment goes. */
function offsetOf(offset: number): number[] {
  return [...i32Const(offset), END];
}

/** table.init of two entries of a segment. */
function init(segment: number, to: number): number[] {
  return [...i32Const(to), ...i32Const(0), ...i32Const(2), 0xfc, 12, segment, 0];
}

/** Element segments in all eight forms the binary format has. */
function elementForms(): Uint8Array<ArrayBuffer> {
  const builder = new ModuleBuilder();
  const type = builder.type([], [I32]);
  builder.table([FUNCREF, 0, 32]);
  builder.exportEntity("table", "table", 0);
  const [one, two] = [0, 1];
  const refs = [0xd2, one, END, 0xd2, two, END];
  builder.element([0, ...offsetOf(0), 2, one, two]);
  builder.element([1, 0x00, 2, one, two]);
  builder.element([2, 0, ...offsetOf(2), 0x00, 2, one, two]);
  builder.element([3, 0x00, 2, one, two]);
  builder.element([4, ...offsetOf(4), 2, ...refs]);
  builder.element([5, FUNCREF, 2, ...refs]);
  builder.element([6, 0, ...offsetOf(6), FUNCREF, 2, ...refs]);
  builder.element([7, FUNCREF, 2, ...refs]);
  builder.element([5, EXTERNREF, 1, 0xd0, EXTERNREF, END]);
  builder.func(type, [], i32Const(1));
  builder.func(type, [], i32Const(2));
  const sum = [0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 14, 15].flatMap((slot) => i32Const(slot).concat([0x11, type, 0, 0x6a]));
  const tests: Code[] = [
    [...init(1, 10), ...init(5, 14), ...i32Const(0), ...sum],
    [...init(3, 20), ...i32Const(0)],
    [...init(7, 20), ...i32Const(0)],
    [...init(0, 20), ...i32Const(0)],
    [...init(6, 20), ...i32Const(0)],
  ];
  for (const [n, body] of tests.entries()) builder.exportEntity(`test_${n}`, "function", builder.func(type, [], body));
  return builder.build();
}

/** Data segments in all three forms, the form with an explicit memory index naming memory 0. */
function dataForms(): Uint8Array<ArrayBuffer> {
  const builder = new ModuleBuilder();
  builder.memory([0, 1]);
  builder.exportEntity("memory", "memory", 0);
  builder.data([0, ...i32Const(0), END, ...text("zero")]);
  builder.data([1, ...text("passive")]);
  builder.data([2, 0, ...i32Const(8), END, ...text("two")]);
  builder.dataCount();
  const body = [...i32Const(20), ...i32Const(1), ...i32Const(4), 0xfc, 8, 1, 0];
  builder.exportEntity("test_init", "function", builder.func(builder.type([], []), [], body));
  return builder.build();
}

function padded(value: number): number[] {
  return unsigned(value, 5);
}

/** Immediates padded to the longest form allowed: a rewriter that copies by width must not trip over them. */
function paddedIntegers(): Uint8Array<ArrayBuffer> {
  const builder = new ModuleBuilder();
  const type = builder.type([], [I32]);
  builder.memory([0, 1]);
  builder.exportEntity("memory", "memory", 0);
  builder.table([FUNCREF, 0, ...unsigned(3, 5)]);
  builder.global([I32], true, i32Const(4));
  builder.element([...unsigned(0, 5), 0x41, 0x80, 0x80, 0x00, END, ...unsigned(1, 4), ...unsigned(0, 5)]);
  builder.func(type, [], [0x41, 0x85, 0x80, 0x80, 0x80, 0x00]);
  const body = [
    [0x02, I32],
    [0x41, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x21, ...padded(0)],
    [0x23, ...padded(0), 0x20, ...padded(0), 0x6a, 0x24, ...padded(0)],
    [0x41, 0x80, 0x00, 0x23, ...padded(0), 0x36, ...padded(2), ...padded(16)],
    [0x41, 0x00, 0x28, ...padded(2), ...padded(16)],
    [0x10, ...padded(0), 0x41, 0x80, 0x80, 0x00, 0x11, ...padded(type), ...padded(0), 0x6a, 0x6a],
    [0x42, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 0xa7, 0x6a],
    [0x0c, ...padded(0), END],
  ].flat();
  builder.exportEntity("test_padded", "function", builder.func(type, [[I32]], body));
  return builder.build();
}

/** A run of instructions far longer than one check may cover, straight, in a loop, and inside a callee. */
function longStraightLine(): Uint8Array<ArrayBuffer> {
  const builder = new ModuleBuilder();
  const type = builder.type([], [I32]);
  const step = [0x20, 0, ...i32Const(3), 0x6c, ...i32Const(7), 0x6a, 0x21, 0];
  const steps = Array.from({ length: 3000 }, () => step).flat();
  const long = builder.func(type, [[I32]], [...steps, 0x20, 0]);
  const count = [0x20, 1, ...i32Const(1), 0x6a, 0x22, 1, ...i32Const(5), 0x49, 0x0d, 0];
  const looped = builder.func(type, [[I32], [I32]], [0x03, 0x40, ...steps, ...count, END, 0x20, 0]);
  const caller = builder.func(type, [], [...call(long), ...call(long), 0x6a]);
  for (const [name, index] of Object.entries({ long, looped, caller })) builder.exportEntity(`test_${name}`, "function", index);
  return builder.build();
}

/** A function with tens of thousands of locals and one with many small groups of them. */
function manyLocals(): Uint8Array<ArrayBuffer> {
  const builder = new ModuleBuilder();
  const type = builder.type([], [I64]);
  const groups: Code[] = Array.from({ length: 400 }, (_, at) => [at % 2 === 0 ? I32 : I64]);
  const body = [0x42, 5, 0x21, ...unsigned(399), 0x20, ...unsigned(399), 0x20, ...unsigned(1), 0x7c];
  builder.exportEntity("test_many", "function", builder.func(type, groups, body));
  return builder.build();
}

/** Many functions that call each other forwards and backwards, so that indexes need several bytes. */
function manyFunctions(): Uint8Array<ArrayBuffer> {
  const builder = new ModuleBuilder();
  const type = builder.type([I32], [I32]);
  const count = 700;
  for (let at = 0; at < count; at++) {
    const step = at + 1 < count ? [0x20, 0, ...i32Const(at % 7), 0x6a, ...call(at + 1)] : [0x20, 0];
    builder.func(type, [], step);
  }
  const main = builder.func(builder.type([], [I32]), [], [...i32Const(1), ...call(0), ...i32Const(2), ...call(350), 0x6a]);
  builder.exportEntity("test_chain", "function", main);
  return builder.build();
}

/** Custom sections between all sections, with equal names, empty names and a name section that lies. */
function oddCustomSections(): Uint8Array<ArrayBuffer> {
  const builder = new ModuleBuilder();
  builder.exportEntity("test_it", "function", builder.func(builder.type([], [I32]), [], i32Const(5)));
  builder.custom("", []);
  builder.custom("name", [1, 4, 1, 9, 1, 0x78]);
  builder.custom("name", [0xff, 0xff, 0xff]);
  builder.custom(".debug_info", [1, 2, 3]);
  builder.custom("sourceMappingURL", text("x.map"));
  builder.custom("metadata.code.branch_hint", [1, 0, 1, 2, 1, 0]);
  return builder.build();
}

/** A protected block that takes parameters, which the assembler drops. */
function tryTableParameters(): Uint8Array<ArrayBuffer> {
  const builder = new ModuleBuilder();
  const binary = builder.type([I32, I32], [I32]);
  const tag = builder.tag(builder.type([I32], []));
  const nullary = builder.type([], [I32]);
  const guarded = (inner: Code): number[] => [...i32Const(20), ...i32Const(22), 0x1f, binary, 1, 0, tag, 0, ...inner, END];
  builder.exportEntity("test_no_throw", "function", builder.func(nullary, [], guarded([0x6a])));
  builder.exportEntity("test_throw", "function", builder.func(nullary, [], guarded([0x6b, 0x08, tag])));
  return builder.build();
}

/** Active data for a memory other than the first. */
function dataForSecondMemory(): Uint8Array<ArrayBuffer> {
  const builder = new ModuleBuilder();
  builder.memory([0, 1]);
  builder.memory([0, 1]);
  builder.exportEntity("first", "memory", 0);
  builder.exportEntity("second", "memory", 1);
  builder.data([2, 1, ...i32Const(4), END, ...text("in the second")]);
  const body = [...i32Const(0), 0x28, 0x42, 1, 4];
  builder.exportEntity("test_load", "function", builder.func(builder.type([], [I32]), [], body));
  return builder.build();
}

/** An imported function whose type stands in a group: whatever replaces the import must keep that very type. */
function importInGroup(open: boolean): Uint8Array<ArrayBuffer> {
  const builder = new ModuleBuilder();
  const binary = [0x60, 2, I32, I32, 1, I32];
  if (open) builder.rawType([0x50, 0, ...binary]);
  else builder.rawType([0x4e, 2, ...binary, 0x60, 0, 0], 2);
  const nullary = builder.rawType([0x60, 0, 1, I32]);
  builder.importEntity("host", "add", "function", [0]);
  builder.table([FUNCREF, 0, 1]);
  builder.global([0x64, 0], false, [0xd2, 0]);
  builder.element([0, ...i32Const(0), END, 1, 0]);
  const args = [...i32Const(30), ...i32Const(12)];
  const tests: Record<string, Code> = {
    direct: [...args, ...call(0)],
    indirect: [...args, ...i32Const(0), 0x11, 0, 0],
    reference: [...args, 0xd2, 0, 0x14, 0],
    global: [...args, 0x23, 0, 0x14, 0],
    tail: [...args, 0xd2, 0, 0x15, 0],
  };
  for (const [name, body] of Object.entries(tests)) builder.exportEntity(`test_${name}`, "function", builder.func(nullary, [], body));
  return builder.build();
}

export function builtModules(): readonly BuiltModule[] {
  return [
    { name: "built-numeric-matrix", about: "Every numeric instruction on pairs of edge operands", bytes: numericMatrix() },
    { name: "built-element-forms", about: "Element segments in all eight binary forms", bytes: elementForms() },
    { name: "built-data-forms", about: "Data segments in all three binary forms", bytes: dataForms() },
    { name: "built-try-table-parameters", about: "A protected block with parameters", bytes: tryTableParameters() },
    { name: "built-second-memory-data", about: "Active data for the second memory", bytes: dataForSecondMemory() },
    { name: "built-import-in-group", about: "An imported function whose type is in a group", bytes: importInGroup(false) },
    { name: "built-import-with-open-type", about: "An imported function whose type may have subtypes", bytes: importInGroup(true) },
    { name: "built-padded-integers", about: "Immediates in padded LEB128", bytes: paddedIntegers() },
    { name: "built-long-straight-line", about: "Runs longer than one check covers", bytes: longStraightLine() },
    { name: "built-many-locals", about: "Many groups of locals", bytes: manyLocals() },
    { name: "built-many-functions", about: "Function indexes of several bytes", bytes: manyFunctions() },
    { name: "built-odd-custom-sections", about: "Custom sections that are empty, repeated or false", bytes: oddCustomSections() },
  ];
}
