// Hostile modules whose size or encoding no text file would carry well.

import { Bytes, FIRST, Guest, text, unsigned } from "./hostile-bytes.ts";

interface BuiltModule {
  readonly name: string;
  /** What it tries, in a sentence. */
  readonly tries: string;
  readonly build: () => Uint8Array<ArrayBuffer>;
}

const I32 = 0x7f;
const I64 = 0x7e;
const END = 0x0b;
const DROP = 0x1a;
const UNREACHABLE = 0x00;
const BLOCK = [0x02, 0x40];
const LOOP = [0x03, 0x40];
const IF = [0x04, 0x40];
const ZERO = [0x41, 0];
const br = (label: number): number[] => [0x0c, ...unsigned(label)];
const call = (index: number): number[] => [0x10, ...unsigned(index)];
const locals = (count: number, type: number = I32): number[] => [1, ...unsigned(count), type];

/** `if (0) { … }`: code that is compiled, but neither runs nor costs. */
function never(body: Bytes): Bytes {
  return new Bytes()
    .add([...ZERO, ...IF])
    .add(body)
    .add([END]);
}

function loopOver(body: readonly number[]): number[] {
  return [...LOOP, ...body, ...br(0), END];
}

function nested(opening: readonly number[], count: number): Bytes {
  return new Bytes().add(opening, count).add([END], count);
}

function functionNames(names: readonly (readonly [index: number, name: string])[]): Bytes {
  const content = new Bytes().add(unsigned(names.length));
  for (const [index, name] of names) content.add([...unsigned(index), ...text(name)]);
  return new Bytes().add([1, ...unsigned(content.length)]).add(content);
}

/** Names of 900,000 functions that do not exist. */
function manyNames(): Bytes {
  const content = new Bytes().add(unsigned(900_000));
  for (let index = 0; index < 900_000; index++) content.add([...unsigned(index), 8, 0x6e, 0x6e, 0x6e, 0x6e, 0x6e, 0x6e, 0x6e, 0x6e]);
  return new Bytes().add([1, ...unsigned(content.length)]).add(content);
}

/** A function of many locals and branches behind `if (0)`: cheap to call, slow to compile. */
function slowToCompile(guest: Guest, localCount: number, branches: number): number {
  return guest.function(never(new Bytes().add([...ZERO, ...IF, END], branches)), locals(localCount));
}

export const BUILT_MODULES: readonly BuiltModule[] = [
  {
    name: "index-memory-data",
    tries: "Initialises the memory one past the last from a data segment.",
    build: () =>
      new Guest()
        .entry(5, [0, 1])
        .entry(11, [2, 1, ...ZERO, END, 1, 0xff])
        .attack([]),
  },
  {
    name: "index-table-element",
    tries: "Initialises the table one past the last from an element segment.",
    build: () =>
      new Guest()
        .entry(4, [0x70, 0, 1])
        .entry(9, [2, 1, ...ZERO, END, 0, 1, FIRST])
        .attack([]),
  },
  {
    name: "names-forge-stack",
    tries: "Names its functions like frames of the host's stack, with escapes and line breaks.",
    build: () => {
      const guest = new Guest();
      const inner = guest.function([UNREACHABLE]);
      const outer = guest.function(call(inner));
      guest.custom(
        "name",
        functionNames([
          [inner, "wasm-function[0]:0x1\n    at Object.<anonymous> (/etc/passwd:1:1)\u001b[31m"],
          [outer, "wasm-function[4]:0xffffff)\r\n[ERROR] forged\u0007\u009b2J\u202e"],
        ]),
      );
      return guest.attack(call(outer));
    },
  },
  {
    name: "names-broken",
    tries: "Has a name section that ends in the middle of a name, with counts of billions.",
    build: () =>
      new Guest().custom("name", new Bytes().add([1, 9, ...unsigned(0xffff_ffff), 3, ...unsigned(0x7fff_ffff).slice(0, 3)])).attack([UNREACHABLE]),
  },
  {
    name: "names-many",
    tries: "Names 900,000 functions, so that every trap takes long to explain.",
    build: () => new Guest().custom("name", manyNames()).attack([UNREACHABLE]),
  },
  {
    name: "trace-long",
    tries: "Traps ten frames deep in a function of a hundred thousand rewritten instructions, so that the trap takes long to explain.",
    build: () => {
      const guest = new Guest().entry(5, [0, 1]).entry(6, [I32, 1, ...ZERO, END]);
      const body = new Bytes();
      // if (++depth > 12) unreachable; itself();
      body.add([0x23, 0, 0x41, 1, 0x6a, 0x24, 0, 0x23, 0, 0x41, 12, 0x4a, ...IF, UNREACHABLE, END, ...call(FIRST + 1)]);
      body.add(never(new Bytes().add([...ZERO, ...ZERO, ...ZERO, 0xfc, 11, 0], 110_000)));
      return guest.attack(body);
    },
  },
  {
    name: "locals-loop",
    tries: "Calls a function of 49,000 locals, each to be zeroed, in a loop.",
    build: () => {
      const guest = new Guest();
      const target = guest.function([], locals(49_000, I64));
      return guest.attack(loopOver(call(target)));
    },
  },
  {
    name: "locals-most",
    tries: "Has as many locals as the engine allows, so that none can be added.",
    build: () => new Guest().attack(loopOver([]), locals(50_000)),
  },
  {
    name: "locals-too-many",
    tries: "Declares four billion locals in many groups.",
    build: () => new Guest().attack([], [3, ...unsigned(0xffff_ffff), I32, ...unsigned(0xffff_ffff), I32, ...unsigned(0xffff_ffff), I32]),
  },
  {
    name: "branch-table-giant",
    tries: "Branches through a table of 65,520 targets in a loop.",
    build: () =>
      new Guest().attack(
        new Bytes()
          .add([...LOOP, ...ZERO, 0x0e, ...unsigned(65_519)])
          .add([0], 65_520)
          .add([END]),
      ),
  },
  {
    name: "branch-table-too-giant",
    tries: "Branches through a table with more targets than engines take.",
    build: () =>
      new Guest().attack(
        new Bytes()
          .add([...LOOP, ...ZERO, 0x0e, ...unsigned(65_521)])
          .add([0], 65_522)
          .add([END]),
      ),
  },
  {
    name: "branch-table-claims",
    tries: "Claims a branch table of four billion targets.",
    build: () => new Guest().attack(new Bytes().add([...LOOP, ...ZERO, 0x0e, ...unsigned(0xffff_ffff), 0, END])),
  },
  {
    name: "compile-locals-branches",
    tries: "Is one function of 40,000 locals and 2,000 branches, which takes long to compile.",
    build: () => {
      const guest = new Guest();
      return guest.attack(call(slowToCompile(guest, 40_000, 2000)));
    },
  },
  {
    name: "compile-long-body",
    tries: "Is one function of more than a megabyte.",
    build: () => new Guest().attack(new Bytes().add([...ZERO, DROP], 360_000)),
  },
  {
    name: "compile-huge-body",
    tries: "Is one function longer than engines take.",
    build: () => new Guest().attack(new Bytes().add([...ZERO, DROP], 2_600_000)),
  },
  {
    name: "compile-nested-blocks",
    tries: "Nests 120,000 blocks.",
    build: () => new Guest().attack(nested(BLOCK, 120_000)),
  },
  {
    name: "compile-nested-ifs",
    tries: "Nests 120,000 conditions.",
    build: () => new Guest().attack(nested([...ZERO, ...IF], 120_000)),
  },
  {
    name: "compile-nested-loops",
    tries: "Nests 120,000 loops.",
    build: () => new Guest().attack(nested(LOOP, 120_000)),
  },
  {
    name: "compile-nested-too-deep",
    tries: "Nests two million blocks.",
    build: () => new Guest().attack(nested(BLOCK, 2_000_000)),
  },
  {
    name: "compile-deep-operands",
    tries: "Holds 8,000 operands at 8,000 branches, which costs the compiler what locals would.",
    build: () =>
      new Guest().attack(
        never(
          new Bytes()
            .add(ZERO, 8000)
            .add([...ZERO, ...IF, END], 8000)
            .add([DROP], 8000),
        ),
      ),
  },
  {
    name: "compile-many",
    tries: "Calls 60 functions in a row, each just below what may be slow to compile.",
    build: () => {
      const guest = new Guest();
      const body = new Bytes();
      for (let index = 0; index < 60; index++) body.add(call(slowToCompile(guest, 300, 2100)));
      return guest.attack(body.add(loopOver([])));
    },
  },
  {
    name: "compile-once",
    tries: "Is one function just below what may be slow to compile.",
    build: () => {
      const guest = new Guest();
      return guest.attack(new Bytes().add(call(slowToCompile(guest, 300, 2500))).add(loopOver([])));
    },
  },
  {
    name: "read-imports-wide",
    tries: "Imports 60,000 functions of a thousand parameters, each of which would get a stand-in of kilobytes.",
    build: () => {
      const guest = new Guest().entry(
        1,
        new Bytes()
          .add([0x60, ...unsigned(1000)])
          .add([I32], 1000)
          .add([0]),
      );
      return guest.entry(2, [0, 0, 0, 3], 60_000).build();
    },
  },
  {
    name: "read-segments-helpers",
    tries: "Initialises a table from 80,000 different segments, each of which would get a helper of its own.",
    build: () => {
      const guest = new Guest().entry(4, [0x70, 0, 1]).entry(9, [1, 0, 0], 80_000);
      const body = new Bytes();
      for (let segment = 0; segment < 80_000; segment++) body.add([...ZERO, ...ZERO, ...ZERO, 0xfc, 12, ...unsigned(segment), 0]);
      return guest.attack(never(body));
    },
  },
  {
    name: "read-hazards-many",
    tries: "Repeats 100,000 forbidden instructions, each of which would get an error of its own.",
    build: () => new Guest().entry(5, [0, 1]).attack(new Bytes().add([UNREACHABLE]).add([0xfe, 1, 2, 0], 100_000)),
  },
  {
    name: "read-hazards-mixed",
    tries: "Mixes forbidden instructions of two kinds, so that looking for the second kind passes all of the first.",
    build: () => {
      const guest = new Guest().entry(1, [0x5f, 0]).entry(5, [0, 1]);
      return guest.attack(new Bytes().add([UNREACHABLE]).add([0xfe, 1, 2, 0], 20_000).add([0xfb, 0, 3, DROP], 20_000));
    },
  },
  {
    name: "read-exports-many",
    tries: "Exports one function under 60,000 names, each of which would get an entry of its own.",
    build: () => {
      const guest = new Guest();
      const target = guest.function([]);
      for (let index = 0; index < 60_000; index++) guest.export(`n${index.toString(36)}`, target);
      return guest.attack(loopOver([]));
    },
  },
  {
    name: "read-counts",
    tries: "Claims four billion types.",
    build: () => Uint8Array.from([0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 0xff, 0xff, 0xff, 0xff, 0x0f]),
  },
  {
    name: "read-names-long",
    tries: "Exports a function under a name of 20 megabytes of escapes, and under it once more.",
    build: () => {
      const guest = new Guest();
      const title = new Bytes().add([0x1b, 0x5b, 0x32, 0x4a], 5_000_000);
      const entry = new Bytes().add(unsigned(title.length)).add(title).add([0, FIRST]);
      return guest.entry(7, entry, 2).attack([]);
    },
  },
];
