import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EMPTY, FUNCREF, I32, I64, ModuleBuilder, V128, text, unsigned } from "../../test/wasm/builder.ts";
import { threadMs } from "../../test/thread-time.ts";
import { type ErrorCode, isMortiseError } from "../api/errors.ts";
import { instrument } from "./instrument.ts";
import { SECTION_ORDER, readModule } from "./module-reader.ts";

const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
/** Offset of the content of a first section whose size takes one byte. */
const AT = 10;

const section = (id: number, ...content: number[]): number[] => [id, ...unsigned(content.length), ...content];
const moduleOf = (...sections: readonly (readonly number[])[]): Uint8Array<ArrayBuffer> => Uint8Array.from([...HEADER, ...sections.flat()]);

interface Failure {
  readonly code: ErrorCode | "accepted";
  readonly reason: unknown;
  readonly offset: unknown;
}

/** What the reader, and after it the scanner, say of bytes. */
function verdict(bytes: Uint8Array): Failure {
  try {
    instrument(bytes, { gc: "allow", threads: "allow", memories: 1000, tables: 1000 });
    return { code: "accepted", reason: undefined, offset: undefined };
  } catch (error) {
    if (!isMortiseError(error)) throw error;
    return { code: error.code, reason: error.details["reason"], offset: error.details["offset"] };
  }
}

function assertRefused(what: string, bytes: Uint8Array, reason: RegExp, offset: number, code: ErrorCode = "MORTISE_WASM_MALFORMED"): void {
  const found = verdict(bytes);
  assert.deepEqual([found.code, found.offset], [code, offset], `${what}: ${found.code}, ${String(found.reason)} at ${String(found.offset)}`);
  assert.match(String(found.reason), reason, what);
  assert.equal(WebAssembly.validate(bytes.slice()), false, `${what}: the engine accepts it`);
}

const NAMES: Readonly<Record<number, string>> = {
  1: "type",
  2: "import",
  3: "function",
  4: "table",
  5: "memory",
  6: "global",
  7: "export",
  8: "start",
  9: "element",
  10: "code",
  11: "data",
  12: "data count",
  13: "tag",
};
const COUNTED = SECTION_ORDER.filter((id) => id !== 8 && id !== 12);

describe("readModule and the header", () => {
  const cases: readonly (readonly [what: string, bytes: readonly number[], code: ErrorCode, offset?: number])[] = [
    ["nothing", [], "MORTISE_NOT_WASM"],
    ["three bytes of the magic", [0, 0x61, 0x73], "MORTISE_NOT_WASM"],
    ["another magic", [0x7f, 0x45, 0x4c, 0x46], "MORTISE_NOT_WASM"],
    ["the magic alone", [0, 0x61, 0x73, 0x6d], "MORTISE_WASM_MALFORMED", 4],
    ["half a version", [0, 0x61, 0x73, 0x6d, 1, 0, 0], "MORTISE_WASM_MALFORMED", 7],
    ["version 0", [0, 0x61, 0x73, 0x6d, 0, 0, 0, 0], "MORTISE_WASM_MALFORMED", 4],
    ["version 2", [0, 0x61, 0x73, 0x6d, 2, 0, 0, 0], "MORTISE_WASM_MALFORMED", 4],
    ["version 257", [0, 0x61, 0x73, 0x6d, 1, 1, 0, 0], "MORTISE_WASM_MALFORMED", 4],
    ["layer 2", [0, 0x61, 0x73, 0x6d, 1, 0, 2, 0], "MORTISE_WASM_MALFORMED", 4],
    ["a component", [0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0], "MORTISE_WASM_COMPONENT"],
    ["text", [...Buffer.from("  (module)")], "MORTISE_WASM_TEXT"],
    ["text after a comment", [...Buffer.from(";; hello")], "MORTISE_WASM_TEXT"],
    ["text after a block comment", [...Buffer.from("\n(; x ;)(module)")], "MORTISE_WASM_TEXT"],
  ];
  for (const [what, bytes, code, offset] of cases) {
    it(`refuses ${what} with ${code}`, () => {
      const found = verdict(Uint8Array.from(bytes));
      assert.deepEqual([found.code, found.offset], [code, offset]);
    });
  }

  it("accepts a module without sections", () => {
    const module = readModule(Uint8Array.from(HEADER), "empty");
    assert.deepEqual([module.sections, module.exports, module.bodies.length, module.start], [[], [], 0, undefined]);
  });
});

describe("readModule and any section", () => {
  for (const id of SECTION_ORDER) {
    it(`refuses a ${NAMES[id]} section that is cut, overlong or of the wrong size`, () => {
      assertRefused("without a size", moduleOf([id]), /^unexpected end$/, 9);
      assertRefused("with half a size", moduleOf([id, 0x80]), /^unexpected end$/, 10);
      assertRefused("with an overlong size", moduleOf([id, 0x80, 0x80, 0x80, 0x80, 0x10]), /^integer too large for 32 bits$/, 13);
      assertRefused("with six bytes of size", moduleOf([id, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]), /^integer too large for 32 bits$/, 13);
      assertRefused("that passes the end", moduleOf([id, 2, 0]), /^section of 2 bytes passes the end of the module$/, 8);
      assertRefused("that passes the end by far", moduleOf([id, 0xff, 0xff, 0xff, 0xff, 0x0f]), /^section of 4294967295 bytes passes/, 8);
      assertRefused("without content", moduleOf(section(id)), /^unexpected end$/, AT);
      assertRefused("with an overlong first number", moduleOf(section(id, 0x80, 0x80, 0x80, 0x80, 0x10)), /^integer too large for 32 bits$/, AT + 4);
      assertRefused("with half a number", moduleOf(section(id, 0x80), section(0, 0, 0)), /^unexpected end$/, AT + 1);
    });
  }

  for (const id of COUNTED) {
    it(`refuses a ${NAMES[id]} section with a huge count, bytes left over, or a twin`, () => {
      assertRefused(
        "with a huge count",
        moduleOf(section(id, 0xff, 0xff, 0xff, 0xff, 0x0f)),
        /^4294967295 .* do not fit into the 0 bytes that follow$/,
        AT,
      );
      assertRefused("with one item and no bytes", moduleOf(section(id, 1)), /^1 .* do not fit into the 0 bytes that follow$/, AT);
      assertRefused("with a byte left over", moduleOf(section(id, 0, 0)), new RegExp(`^section ${id} has bytes left over$`), AT + 1);
      assertRefused("with a twin", moduleOf(section(id, 0), section(id, 0)), new RegExp(`^section ${id} stands twice$`), AT + 1);
      assertRefused(
        "with a twin behind a custom section",
        moduleOf(section(id, 0), section(0, 0), section(id, 0)),
        new RegExp(`^section ${id} stands twice$`),
        AT + 4,
      );
    });

    it(`accepts an empty ${NAMES[id]} section, with a padded count and size too`, () => {
      const bytes = moduleOf([id, 0x85, 0x80, 0x80, 0x80, 0x00, 0x80, 0x80, 0x80, 0x80, 0x00]);
      assert.equal(verdict(bytes).code, "accepted");
      assert.equal(WebAssembly.validate(bytes), true);
    });
  }

  it("refuses every pair of sections in the wrong order, at the second one", () => {
    for (const [place, first] of COUNTED.entries()) {
      for (const second of COUNTED.slice(0, place)) {
        assertRefused(
          `${NAMES[first]} before ${NAMES[second]}`,
          moduleOf(section(first, 0), section(second, 0)),
          new RegExp(`^section ${second} is out of order$`),
          AT + 1,
        );
      }
    }
  });

  it("refuses unknown ids", () => {
    for (const id of [14, 15, 64, 127, 128, 255]) assertRefused(`id ${id}`, moduleOf(section(id, 0)), new RegExp(`^unknown section id ${id}$`), 8);
  });

  it("takes custom sections anywhere, and refuses bad names of theirs", () => {
    const custom = section(0, ...text("x"), 1, 2, 3);
    assert.equal(verdict(moduleOf(custom, section(1, 0), custom, custom, section(11, 0), custom)).code, "accepted");
    assertRefused("without a name", moduleOf(section(0)), /^unexpected end$/, AT);
    assertRefused("whose name passes the section", moduleOf(section(0, 5, 0x61), section(1, 0)), /^length 5 passes the end$/, AT + 1);
    assertRefused("whose name is not UTF-8", moduleOf(section(0, 1, 0xff)), /^name is not valid UTF-8$/, AT);
  });
});

/** The smallest module that has everything that indexes can name. */
const TYPE = section(1, 1, 0x60, 0, 0);
const FUNCTION = section(3, 1, 0);
const TABLE = section(4, 1, FUNCREF, 0, 1);
const MEMORY = section(5, 1, 0, 1);
const GLOBAL = section(6, 1, I32, 0, 0x41, 0, 0x0b);
const CODE = section(10, 1, 2, 0, 0x0b);
const after = (...sections: readonly (readonly number[])[]): number => HEADER.length + sections.flat().length + 2;
const BAD = "MORTISE_WASM_UNSUPPORTED";

describe("readModule and the content of sections", () => {
  const rows: readonly (readonly [what: string, bytes: Uint8Array<ArrayBuffer>, reason: RegExp, offset: number, code?: ErrorCode])[] = [
    // types
    ["a type of an unknown form", moduleOf(section(1, 1, 0x40, 0, 0)), /^this form of type$/, AT + 1, BAD],
    ["a function type with an unknown parameter", moduleOf(section(1, 1, 0x60, 1, 0x01, 0)), /^value type 0x1$/, AT + 3, BAD],
    ["a function type with an unknown result", moduleOf(section(1, 1, 0x60, 0, 1, 0x40)), /^value type 0x40$/, AT + 4, BAD],
    ["a function type that is cut", moduleOf(section(1, 1, 0x60, 2, I32)), /^2 parameters do not fit into the 1 bytes/, AT + 2],
    ["a function type with 1,001 parameters", moduleOf(section(1, 1, 0x60, ...unsigned(1001), ...Array<number>(1001).fill(I32), 0)), /^1001 parameters, at most 1000 are allowed$/, AT + 3],
    ["a reference to a type that is not there", moduleOf(section(1, 1, 0x60, 1, 0x63, 7, 0)), /^type index 7 is out of range \(there are 1\)$/, AT + 4],
    ["two supertypes", moduleOf(section(1, 1, 0x50, 2, 0, 0, 0x60, 0, 0)), /^2 supertypes, at most 1 are allowed$/, AT + 2],
    ["a field with mutability 2", moduleOf(section(1, 1, 0x5f, 1, I32, 2)), /^mutability flag is 2, but must be 0 or 1$/, AT + 4],
    // imports
    ["an import of an unknown kind", moduleOf(section(2, 1, 0, 0, 5, 0)), /^this kind of import$/, AT + 3, BAD],
    ["an import without a kind", moduleOf(section(2, 1, 0, 0)), /^unexpected end$/, AT + 3],
    ["an import whose module is not UTF-8", moduleOf(section(2, 1, 1, 0xfe, 0, 0, 0)), /^name is not valid UTF-8$/, AT + 1],
    ["an imported function of no type", moduleOf(section(2, 1, 0, 0, 0, 0)), /^type index 0 is out of range \(there are 0\)$/, AT + 4],
    ["an imported function of a struct type", moduleOf(section(1, 1, 0x5f, 0), section(2, 1, 0, 0, 0, 0)), /^type 0 is not a function type$/, after(section(1, 1, 0x5f, 0)) + 4],
    ["an imported memory with an unknown flag", moduleOf(section(2, 1, 0, 0, 2, 8, 0)), /^memory with limits flag 8$/, AT + 4, BAD],
    ["an imported table of numbers", moduleOf(section(2, 1, 0, 0, 1, I32, 0, 0)), /^a table's elements must be references$/, AT + 4],
    ["an imported global with mutability 2", moduleOf(section(2, 1, 0, 0, 3, I32, 2)), /^mutability flag is 2/, AT + 5],
    ["an imported tag with an attribute", moduleOf(TYPE, section(2, 1, 0, 0, 4, 1, 0)), /^a tag's attribute must be 0$/, after(TYPE) + 4],
    // functions
    ["a function of no type", moduleOf(TYPE, section(3, 1, 1), CODE), /^type index 1 is out of range \(there are 1\)$/, after(TYPE) + 1],
    ["a function without a body", moduleOf(TYPE, FUNCTION), /^1 functions are declared, but 0 have a body$/, after(TYPE, FUNCTION) - 2],
    ["a body without a function", moduleOf(CODE), /^0 functions are declared, but 1 have a body$/, after(CODE) - 2],
    // tables, memories, globals, tags
    ["a table that is smaller than it begins", moduleOf(section(4, 1, FUNCREF, 1, 5, 4)), /^table has a maximum below its minimum$/, AT + 2],
    ["a shared table", moduleOf(section(4, 1, FUNCREF, 3, 1, 1)), /^a shared table$/, AT + 2, BAD],
    ["a table of vectors", moduleOf(section(4, 1, V128, 0, 0)), /^a table's elements must be references$/, AT + 1],
    ["a table initialiser with a reserved byte", moduleOf(section(4, 1, 0x40, 1, FUNCREF, 0, 0, 0xd0, FUNCREF, 0x0b)), /must have a zero byte$/, AT + 1],
    ["a memory that is smaller than it begins", moduleOf(section(5, 1, 1, 2, 1)), /^memory has a maximum below its minimum$/, AT + 1],
    ["a memory with an unknown flag", moduleOf(section(5, 1, 0x10, 1)), /^memory with limits flag 16$/, AT + 1, BAD],
    ["a memory without a size", moduleOf(section(5, 1, 0)), /^unexpected end$/, AT + 2],
    ["a memory with an overlong 64-bit size", moduleOf(section(5, 1, 4, ...Array<number>(9).fill(0x80), 2)), /^integer too large for 64 bits$/, AT + 11],
    ["a global without an initial value", moduleOf(section(6, 1, I32, 0)), /^unexpected end$/, AT + 3],
    ["a global with mutability 2", moduleOf(section(6, 1, I32, 2, 0x41, 0, 0x0b)), /^mutability flag is 2/, AT + 2],
    ["a global of an unknown type", moduleOf(section(6, 1, 0x00, 0, 0x41, 0, 0x0b)), /^value type 0x0$/, AT + 1, BAD],
    ["a global that calls", moduleOf(TYPE, FUNCTION, section(6, 1, I32, 0, 0x10, 0, 0x0b), CODE), /^instruction 0x10 may not stand in a constant expression$/, after(TYPE, FUNCTION) + 3],
    ["a global that copies itself", moduleOf(section(6, 1, I32, 0, 0x23, 1, 0x0b)), /^global index 1 is out of range \(there are 1\)$/, AT + 4],
    ["a global that refers to no function", moduleOf(section(6, 1, FUNCREF, 0, 0xd2, 0, 0x0b)), /^function index 0 is out of range \(there are 0\)$/, AT + 4],
    ["a global with an overlong constant", moduleOf(section(6, 1, I32, 0, 0x41, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0x0b)), /^integer encoding too long$/, AT + 8],
    ["a global with half a float", moduleOf(section(6, 1, 0x7d, 0, 0x43, 0, 0)), /^length 4 passes the end$/, AT + 4],
    ["a global with another vector instruction", moduleOf(section(6, 1, V128, 0, 0xfd, 13, 0x0b)), /may not stand in a constant expression$/, AT + 3],
    ["a global with another heap instruction", moduleOf(section(6, 1, 0x6e, 0, 0xfb, 2, 0x0b)), /may not stand in a constant expression$/, AT + 3],
    ["a tag with an attribute", moduleOf(TYPE, section(13, 1, 1, 0)), /^a tag's attribute must be 0$/, after(TYPE) + 1],
    ["a tag of no type", moduleOf(section(13, 1, 0, 0)), /^type index 0 is out of range/, AT + 2],
    // exports and start
    ["an export of an unknown kind", moduleOf(section(7, 1, 0, 5, 0)), /^unknown kind of export$/, AT + 2],
    ["two exports of one name", moduleOf(MEMORY, section(7, 2, 1, 0x61, 2, 0, 1, 0x61, 2, 0)), /^export "a" stands twice$/, after(MEMORY) + 5],
    ...(["function", "table", "memory", "global", "tag"] as const).map(
      (kind, index) => [`an exported ${kind} that is not there`, moduleOf(section(7, 1, 0, index, 0)), new RegExp(`^${kind} index 0 is out of range \\(there are 0\\)$`), AT + 3] as const,
    ),
    ["an exported name that is not UTF-8", moduleOf(section(7, 1, 1, 0x80, 2, 0)), /^name is not valid UTF-8$/, AT + 1],
    ["a start function that is not there", moduleOf(section(8, 0)), /^function index 0 is out of range \(there are 0\)$/, AT],
    ["a start section with a byte left over", moduleOf(TYPE, FUNCTION, section(8, 0, 0), CODE), /^section 8 has bytes left over$/, after(TYPE, FUNCTION) + 1],
    ["two start sections", moduleOf(TYPE, FUNCTION, section(8, 0), section(8, 0), CODE), /^section 8 stands twice$/, after(TYPE, FUNCTION) + 1],
    // element and data segments
    ["an element segment of an unknown kind", moduleOf(section(9, 1, 8)), /^element segment has kind 8, but must be below 8$/, AT + 1],
    ["an element segment without a table", moduleOf(section(9, 1, 0, 0x41, 0, 0x0b, 0)), /^element segment without a table$/, AT + 1],
    ["an element segment of a table that is not there", moduleOf(TABLE, section(9, 1, 2, 1, 0x41, 0, 0x0b, 0, 0)), /^table index 1 is out of range \(there are 1\)$/, after(TABLE) + 2],
    ["an element segment with an element kind", moduleOf(section(9, 1, 1, 1, 0)), /^element kind must be 0$/, AT + 2],
    ["an element that is no function", moduleOf(section(9, 1, 1, 0, 1, 0)), /^function index 0 is out of range/, AT + 4],
    ["an element segment with a huge count", moduleOf(section(9, 1, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f)), /^4294967295 elements do not fit/, AT + 3],
    ["a data segment of an unknown kind", moduleOf(section(11, 1, 3)), /^data segment has kind 3, but must be below 3$/, AT + 1],
    ["a data segment without a memory", moduleOf(section(11, 1, 0, 0x41, 0, 0x0b, 0)), /^data segment without a memory$/, AT + 1],
    ["a data segment of a memory that is not there", moduleOf(MEMORY, section(11, 1, 2, 1, 0x41, 0, 0x0b, 0)), /^memory index 1 is out of range \(there are 1\)$/, after(MEMORY) + 2],
    ["a data segment that passes its section", moduleOf(section(11, 1, 1, 5, 1, 2)), /^length 5 passes the end$/, AT + 3],
    ["a data count that is too high", moduleOf(section(12, 2), section(11, 1, 1, 0)), /^2 data segments are announced, but 1 are there$/, after(section(12, 2), section(11, 1, 1, 0)) - 2],
    ["a data count without segments", moduleOf(section(12, 1)), /^1 data segments are announced, but 0 are there$/, after(section(12, 1)) - 2],
  ]; // prettier-ignore
  for (const [what, bytes, reason, offset, code] of rows) {
    it(`refuses ${what} at byte ${offset}`, () => assertRefused(what, bytes, reason, offset, code));
  }
});

describe("readModule and the instructions of a body", () => {
  const start = after(TYPE, FUNCTION, TABLE, MEMORY, GLOBAL);
  /** Offset of the first instruction. */
  const CODE_AT = start + 3;
  const body = (...code: number[]): Uint8Array<ArrayBuffer> =>
    moduleOf(TYPE, FUNCTION, TABLE, MEMORY, GLOBAL, section(10, 1, code.length + 1, 0, ...code));

  const rows: readonly (readonly [what: string, code: readonly number[], reason: RegExp, at: number, code?: ErrorCode])[] = [
    ["a body without an end", [0x01], /^function 0 ends inside a block$/, 1],
    ["a body that goes on behind its end", [0x0b, 0x01], /^function 0 has bytes after its end$/, 1],
    ["an unknown instruction", [0x27, 0x0b], /^instruction 0x27$/, 0, BAD],
    ["an unknown instruction of prefix 0xfb", [0xfb, 0x40, 0x0b], /^instruction 0xfb 64$/, 0, BAD],
    ["an unknown instruction of prefix 0xfc", [0xfc, 0x12, 0x0b], /^instruction 0xfc 18$/, 0, BAD],
    ["an unknown instruction of prefix 0xfd", [0xfd, 0x80, 0x04, 0x0b], /^instruction 0xfd 512$/, 0, BAD],
    ["an unknown instruction of prefix 0xfe", [0xfe, 0x05, 0x0b], /^instruction 0xfe 5$/, 0, BAD],
    ["an overlong prefixed opcode", [0xfc, 0x80, 0x80, 0x80, 0x80, 0x10, 0x0b], /^integer too large for 32 bits$/, 5],
    ["a local that is not there", [0x20, 0, 0x1a, 0x0b], /^local index 0 is out of range \(there are 0\)$/, 1],
    ["a local index that is cut", [0x20], /^unexpected end$/, 1],
    ["an overlong local index", [0x20, 0x80, 0x80, 0x80, 0x80, 0x10], /^integer too large for 32 bits$/, 5],
    ["a global that is not there", [0x23, 1, 0x1a, 0x0b], /^global index 1 is out of range \(there are 1\)$/, 1],
    ["a function that is not there", [0x10, 1, 0x0b], /^function index 1 is out of range \(there are 1\)$/, 1],
    ["a tail call of no function", [0x12, 1, 0x0b], /^function index 1 is out of range/, 1],
    ["an indirect call of no type", [0x41, 0, 0x11, 1, 0, 0x0b], /^type index 1 is out of range/, 3],
    ["an indirect call through no table", [0x41, 0, 0x11, 0, 1, 0x0b], /^table index 1 is out of range/, 4],
    ["a label that is not there", [0x0c, 1, 0x0b], /^label 1 is out of range \(there are 1\)$/, 1],
    ["a table of labels that are not there", [0x41, 0, 0x0e, 1, 0, 2, 0x0b], /^label 2 is out of range/, 5],
    ["a table of too many labels for its bytes", [0x41, 0, 0x0e, 0x50, 0x0b], /^80 branch targets do not fit/, 3],
    ["an else without an if", [0x05, 0x0b], /^else without its block$/, 0],
    ["a second else", [0x41, 0, 0x04, EMPTY, 0x05, 0x05, 0x0b, 0x0b], /^else without its block$/, 5],
    ["a catch without a try", [0x07, 0, 0x0b], /^tag index 0 is out of range/, 1],
    ["a catch_all without a try", [0x19, 0x0b], /^catch_all without its block$/, 0],
    ["a delegate without a try", [0x18, 0, 0x0b], /^delegate without try$/, 0],
    ["a block of no type", [0x02, 0x05, 0x0b, 0x0b], /^block type 5 is not a function type$/, 1],
    ["a block with an overlong type", [0x02, 0x80, 0x80, 0x80, 0x80, 0x10, 0x0b, 0x0b], /^integer too large for 33 bits$/, 5],
    ["a memory that is not there", [0x3f, 1, 0x1a, 0x0b], /^memory index 1 is out of range/, 1],
    ["an access of a memory that is not there", [0x41, 0, 0x28, 0x42, 1, 0, 0x1a, 0x0b], /^memory index 1 is out of range/, 4],
    ["an alignment of 128", [0x41, 0, 0x28, 0x80, 0x01, 0, 0x1a, 0x0b], /^alignment is too large$/, 3],
    ["an overlong memory offset", [0x41, 0, 0x28, 0, ...Array<number>(10).fill(0x80), 0, 0x1a, 0x0b], /^integer encoding too long$/, 13],
    ["an overlong constant", [0x41, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 0x1a, 0x0b], /^integer encoding too long$/, 5],
    ["half a double", [0x44, 0, 0, 0x0b], /^length 8 passes the end$/, 1],
    ["half a vector", [0xfd, 12, 0, 0x0b], /^length 16 passes the end$/, 2],
    ["a data segment that is not announced", [0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 8, 0, 0, 0x0b], /^data segment index 0 is out of range \(there are 0\)$/, 8],
    ["an element segment that is not there", [0xfc, 13, 0, 0x0b], /^element segment index 0 is out of range/, 2],
    ["a table that is not there", [0x41, 0, 0x25, 1, 0x1a, 0x0b], /^table index 1 is out of range/, 3],
    ["a catch clause of an unknown kind", [0x1f, EMPTY, 1, 4, 0, 0x0b, 0x0b], /^catch clause 4$/, 3, BAD],
  ]; // prettier-ignore
  for (const [what, code, reason, at, expected] of rows) {
    it(`refuses ${what} at byte ${at} of the code`, () => assertRefused(what, body(...code), reason, CODE_AT + at, expected));
  }

  it("refuses bodies that pass their section, or whose locals are cut", () => {
    const prefix = [TYPE, FUNCTION];
    const at = after(...prefix);
    assertRefused(
      "a body that passes its section",
      moduleOf(...prefix, section(10, 1, 9, 0, 0x0b)),
      /^function body of 9 bytes passes the end of the code section$/,
      at + 1,
    );
    assertRefused("an empty body", moduleOf(...prefix, section(10, 1, 0)), /^unexpected end$/, at + 2);
    assertRefused("locals without a type", moduleOf(...prefix, section(10, 1, 2, 1, 1)), /^unexpected end$/, at + 4);
    assertRefused("locals of an unknown type", moduleOf(...prefix, section(10, 1, 4, 1, 1, 0x40, 0x0b)), /^value type 0x40$/, at + 4, BAD);
    assertRefused(
      "more groups than bytes",
      moduleOf(...prefix, section(10, 1, 3, 50, 1, I32)),
      /^50 local groups do not fit into the 2 bytes/,
      at + 2,
    );
    assertRefused(
      "two bodies for one function",
      moduleOf(...prefix, section(10, 2, 2, 0, 0x0b, 2, 0, 0x0b)),
      /^1 functions are declared, but 2 have a body$/,
      at + 7,
    );
  });
});

const functionWith = (body: Uint8Array | readonly number[]): Uint8Array<ArrayBuffer> => {
  const size = unsigned(body.length);
  const head = [...HEADER, ...TYPE, ...FUNCTION, 10, ...unsigned(1 + size.length + body.length), 1, ...size];
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return bytes;
};

/** Runs `work` and fails if it took unreasonably long or kept or made too much memory. */
const bounded = (work: () => void): void => {
  const before = process.memoryUsage();
  const began = threadMs();
  work();
  const took = threadMs() - began;
  const now = process.memoryUsage();
  assert.ok(took < 5000, `it took ${took} ms`);
  assert.ok(now.heapUsed + now.arrayBuffers - before.heapUsed - before.arrayBuffers < 300 << 20, "it took too much memory");
};

describe("readModule under hostile sizes", () => {
  it("refuses a million locals, in one group, in many, and in groups whose sum overflows 32 bits", () => {
    const at = after(TYPE, FUNCTION);
    bounded(() => {
      assertRefused("in one group", functionWith([1, ...unsigned(1_000_000), I32, 0x0b]), /^function 0 has more than 50000 locals$/, at + 3);
      assertRefused(
        "in the largest group",
        functionWith([1, ...unsigned(0xffff_ffff), I32, 0x0b]),
        /^function 0 has more than 50000 locals$/,
        at + 3,
      );
      assertRefused(
        "in two groups that overflow",
        functionWith([2, ...unsigned(1), I64, ...unsigned(0xffff_ffff), I32, 0x0b]),
        /more than 50000 locals$/,
        at + 5,
      );
      const groups = new Uint8Array(2_000_004);
      groups.set([...unsigned(1_000_000)]);
      for (let index = 3; index < 2_000_003; index += 2) groups.set([1, I32], index);
      groups[2_000_003] = 0x0b;
      const found = verdict(functionWith(groups));
      assert.deepEqual([found.code, found.reason], ["MORTISE_WASM_MALFORMED", "function 0 has more than 50000 locals"]);
    });
    assert.equal(verdict(functionWith([1, ...unsigned(49_997), I32, 0x0b])).code, "accepted");
  });

  it("does not mind a million nested blocks, closed or open", () => {
    const depth = 1_000_000;
    for (const opcode of [
      [0x02, EMPTY],
      [0x03, EMPTY],
      [0x41, 0, 0x04, EMPTY],
    ]) {
      // prettier-ignore
      const width = opcode.length;
      const closed = new Uint8Array(1 + depth * (width + 1) + 1).fill(0x0b);
      closed[0] = 0;
      for (let index = 0; index < depth; index++) closed.set(opcode, 1 + index * width);
      bounded(() => assert.equal(verdict(functionWith(closed)).code, "MORTISE_FUNCTION_TOO_LARGE"));
      bounded(() => assert.equal(verdict(functionWith(closed.subarray(0, closed.length - 1))).reason, "function 0 ends inside a block"));
    }
  });

  it("counts nothing that is not there: counts up to their limits cost what the bytes cost", () => {
    bounded(() => {
      const huge = new Uint8Array(3_000_020);
      huge.set([...HEADER, 1, ...unsigned(3_000_003), ...unsigned(1_000_001)]);
      assert.match(String(verdict(huge.subarray(0, 8 + 1 + 4 + 3_000_003)).reason), /^1000001 types, at most 1000000 are allowed$/);
      for (const id of COUNTED) {
        for (const count of [1000, 100_000, 0x7fff_ffff, 0x8000_0000])
          assert.equal(verdict(moduleOf(section(id, ...unsigned(count), 0, 0, 0))).code, "MORTISE_WASM_MALFORMED");
      }
    });
  });

  it("refuses 100 MB of zeros, with and without a header, at once", () => {
    const zeros = new Uint8Array(100_000_000);
    bounded(() => assert.equal(verdict(zeros).code, "MORTISE_NOT_WASM"));
    zeros.set(HEADER);
    bounded(() => assert.deepEqual(verdict(zeros), { code: "MORTISE_WASM_MALFORMED", reason: "unexpected end", offset: 10 }));
    const size = zeros.length - 13;
    for (const id of COUNTED) {
      zeros.set([id, ...unsigned(size, 4)], 8);
      bounded(() => assert.equal(verdict(zeros).reason, `section ${id} has bytes left over`));
    }
    zeros.set([0, ...unsigned(size, 4)], 8);
    bounded(() => assert.equal(readModule(zeros, "zeros").sections.length, 1));
    zeros.set([10, ...unsigned(size, 4), 1, ...unsigned(size - 5, 4)], 8);
    bounded(() => assert.match(String(verdict(zeros).reason), /^function body of 999999\d\d bytes, at most 7654321 are allowed$/));
  });

  it("refuses every truncation of a module, and never with anything but a code", () => {
    const builder = new ModuleBuilder();
    const type = builder.type([I32], [I32]);
    builder.importEntity("m", "f", "function", unsigned(type));
    const fn = builder.func(type, [[I64]], [0x20, 0, 0x02, EMPTY, 0x0b, 0x10, 0]);
    builder.table([FUNCREF, 0, 4]);
    builder.memory([1, 1, 2]);
    builder.global([I32], true, [0x41, 7]);
    builder.exportEntity("f", "function", fn);
    builder.element([0, 0x41, 0, 0x0b, 1, 1]);
    builder.data([0, 0x41, 0, 0x0b, 2, 1, 2]);
    builder.custom("extra", [1, 2, 3]);
    const whole = builder.build();
    assert.equal(verdict(whole).code, "accepted");
    for (let length = 0; length < whole.length; length++) {
      const cut = whole.slice(0, length);
      const found = verdict(cut);
      if (found.code === "accepted") assert.ok(WebAssembly.validate(cut), `${length} bytes`);
      else if (length >= 4) {
        assert.equal(found.code, "MORTISE_WASM_MALFORMED", `${length} bytes`);
        assert.ok((found.offset as number) <= length, `${length} bytes: offset ${String(found.offset)}`);
      }
    }
  });
});

describe("readModule", () => {
  it("keeps what the module says: indexes, places and types", () => {
    const builder = new ModuleBuilder();
    const type = builder.type([I32, I64], [I32]);
    const imported = builder.importEntity("module", "größe", "function", unsigned(type));
    builder.importEntity("module", "memory", "memory", [1, 2, 3]);
    const first = builder.func(type, [], [0x41, 0]);
    const second = builder.func(type, [], [0x41, 1]);
    builder.table([FUNCREF, 1, 5, 6]);
    builder.global([I64], true, [0x42, 0]);
    builder.exportEntity("first", "function", first);
    builder.exportEntity("again", "function", imported);
    builder.element([0, 0x41, 0, 0x0b, 1, ...unsigned(second)]);
    const module = readModule(builder.build(), "the test");
    assert.deepEqual(module.imports, [
      { module: "module", name: "größe", kind: "function", index: 0 },
      { module: "module", name: "memory", kind: "memory", index: 0 },
    ]);
    assert.deepEqual([module.importedFunctions, module.functionTypes], [1, [0, 0, 0]]);
    assert.deepEqual(module.exports, [
      { name: "first", kind: "function", index: 1 },
      { name: "again", kind: "function", index: 0 },
    ]);
    assert.deepEqual([...module.reachable], [1, 1, 1], "by export, by export and by table");
    assert.deepEqual([module.memories[0]?.minimum, module.memories[0]?.maximum, module.memories[0]?.imported], [2, 3, true]);
    assert.deepEqual([module.tables[0]?.minimum, module.tables[0]?.maximum, module.tables[0]?.element], [5, 6, { code: FUNCREF }]);
    assert.deepEqual([module.globals[0]?.mutable, module.globals[0]?.type], [true, { code: I64 }]);
    for (let body = 0; body < 2; body++) {
      assert.deepEqual([...module.bytes.subarray(module.bodies[body * 2], module.bodies[body * 2 + 1])], [0, 0x41, body, 0x0b]);
    }
  });
});
