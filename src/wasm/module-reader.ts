// Reads the sections of a core module: everything but the instructions of function bodies.

import { ByteReader } from "./byte-reader.ts";
import { IntList } from "./int-list.ts";
import { MortiseError } from "../api/errors.ts";

/** What an import or export refers to, by the name of the JavaScript interface. */
export type ExternalKind = "function" | "table" | "memory" | "global" | "tag";
const KINDS: readonly ExternalKind[] = ["function", "table", "memory", "global", "tag"];

/** A value type: its encoding byte and, for `(ref null? heap)`, the heap type (a type index, or a negative abstract type). */
export interface ValueType {
  readonly code: number;
  readonly heap?: number;
}

/** A type definition. */
export type TypeDefinition =
  | { readonly kind: "function"; readonly params: readonly ValueType[]; readonly results: readonly ValueType[] }
  | { readonly kind: "struct"; readonly fields: readonly ValueType[] }
  | { readonly kind: "array"; readonly fields: readonly ValueType[] };

/** A memory; sizes in pages (64 KiB, or what a custom page size says). */
export interface MemoryType {
  readonly minimum: number;
  readonly maximum: number | undefined;
  readonly shared: boolean;
  readonly address64: boolean;
  readonly imported: boolean;
  /** Byte offset of the definition. */
  readonly offset: number;
}

/** A table; sizes in entries. */
export interface TableType {
  readonly minimum: number;
  readonly maximum: number | undefined;
  readonly address64: boolean;
  readonly element: ValueType;
  readonly imported: boolean;
  readonly offset: number;
}

/** A global. */
export interface GlobalType {
  readonly type: ValueType;
  readonly mutable: boolean;
  readonly imported: boolean;
  readonly offset: number;
}

/** An import as written in the module. `index` counts within its own kind's index space. */
export interface ImportEntry {
  readonly module: string;
  readonly name: string;
  readonly kind: ExternalKind;
  readonly index: number;
}

/** An export as written in the module. */
export interface ExportEntry {
  readonly name: string;
  readonly kind: ExternalKind;
  readonly index: number;
}

/** A section's place: `[start, end)` is its content, without id and size. */
export interface Section {
  readonly id: number;
  readonly start: number;
  readonly end: number;
  /** Name of a custom section. */
  readonly name?: string;
}

/** Features of the specification, named as its proposals are. */
export type Feature =
  | "bulk-memory"
  | "extended-const"
  | "exception-handling"
  | "exception-handling-legacy"
  | "gc"
  | "memory64"
  | "multi-memory"
  | "multi-value"
  | "reference-types"
  | "relaxed-simd"
  | "sign-extension"
  | "saturating-float-to-int"
  | "simd"
  | "tail-call"
  | "threads"
  | "typed-function-references";

/** A part of the module that one isolation or another refuses to run; see the policy checks. */
export interface Hazard {
  readonly kind: "shared-memory" | "gc-heap";
  readonly what: string;
  readonly offset: number;
}

/** A module without its instructions. */
export interface ParsedModule {
  readonly bytes: Uint8Array;
  readonly source: string;
  readonly sections: readonly Section[];
  readonly types: readonly TypeDefinition[];
  readonly imports: readonly ImportEntry[];
  /** Type index of every function, imports first. */
  readonly functionTypes: readonly number[];
  readonly importedFunctions: number;
  readonly tables: readonly TableType[];
  readonly memories: readonly MemoryType[];
  readonly globals: readonly GlobalType[];
  /** Type index of every tag. */
  readonly tags: readonly number[];
  readonly exports: readonly ExportEntry[];
  readonly start: number | undefined;
  readonly elementSegments: number;
  readonly dataSegments: number;
  readonly dataCount: number | undefined;
  /** Start and end of each body of the code section, size prefix not included. */
  readonly bodies: Int32Array;
  /** 1 for each function that something else than a direct call can reach. */
  readonly reachable: Uint8Array;
  /** Where indexes of imported functions stand outside the code section: start, end and index of each, in order. */
  readonly importReferences: IntList;
  readonly features: Set<Feature>;
  readonly hazards: Hazard[];
}

/** Section ids in the order that the specification demands (section 5.5.2; 13 is the tag section, 12 data count). */
export const SECTION_ORDER: readonly number[] = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];

/** Limits that engines share (the "implementation limitations" appendix of the JavaScript interface). */
export const ENGINE_LIMITS = {
  moduleBytes: 1_073_741_824,
  types: 1_000_000,
  functions: 1_000_000,
  imports: 1_000_000,
  exports: 1_000_000,
  globals: 1_000_000,
  tags: 1_000_000,
  tables: 100_000,
  memories: 100_000,
  dataSegments: 100_000,
  elementSegments: 10_000_000,
  params: 1000,
  results: 1000,
  fields: 10_000,
  locals: 50_000,
  functionBytes: 7_654_321,
  branchTable: 65_520,
} as const;

const HEADER = [0x00, 0x61, 0x73, 0x6d];

function describeStart(bytes: Uint8Array): string {
  if (bytes.length === 0) return "nothing (it is empty)";
  return `bytes ${Array.from(bytes.subarray(0, 4), (byte) => byte.toString(16).padStart(2, "0")).join(" ")}`;
}

function checkHeader(bytes: Uint8Array, source: string): void {
  const hasMagic = HEADER.every((byte, index) => bytes[index] === byte);
  if (!hasMagic) {
    const text = new TextDecoder().decode(bytes.subarray(0, 256)).trimStart();
    if (text.startsWith("(module") || text.startsWith(";;") || text.startsWith("(;")) throw new MortiseError("MORTISE_WASM_TEXT", { source });
    throw new MortiseError("MORTISE_NOT_WASM", { source, found: describeStart(bytes) });
  }
  if (bytes.length < 8) throw new MortiseError("MORTISE_WASM_MALFORMED", { source, reason: "unexpected end in the header", offset: bytes.length });
  const version = (bytes[4] as number) | ((bytes[5] as number) << 8);
  const layer = (bytes[6] as number) | ((bytes[7] as number) << 8);
  if (layer === 1) throw new MortiseError("MORTISE_WASM_COMPONENT", { source });
  if (version !== 1 || layer !== 0) throw new MortiseError("MORTISE_WASM_MALFORMED", { source, reason: `unknown version ${version}`, offset: 4 });
}

/**
 * Reads a module's sections and checks every count and index in them.
 *
 * @throws MortiseError MORTISE_NOT_WASM, MORTISE_WASM_TEXT, MORTISE_WASM_COMPONENT, MORTISE_WASM_MALFORMED or
 *   MORTISE_WASM_UNSUPPORTED, the last two with `details.offset`.
 */
export function readModule(bytes: Uint8Array, source: string): ParsedModule {
  checkHeader(bytes, source);
  return new ModuleReader(bytes, source).read();
}

/** True for any reference type. */
export function isReference(type: ValueType): boolean {
  return type.code < 0x7b && type.code !== 0x78 && type.code !== 0x77;
}

/** Whether a reference can hold on to heap objects that this process cannot limit: everything but functions. */
export function keepsHeap(type: ValueType): boolean {
  if (!isReference(type)) return false;
  const heap = type.heap ?? type.code - 0x80;
  return heap >= 0 ? false : heap !== FUNC && heap !== NOFUNC;
}

/** Exceptions live on the engine's heap; as many can be held as the stack has room for, so each must be small. */
const MAX_EXCEPTION_VALUES = 16;

const FUNC = -0x10;
const NOFUNC = -0x0d;
const EXTERN = -0x11;
const ABSTRACT_HEAPS = new Set([-0x10, -0x11, -0x12, -0x13, -0x14, -0x15, -0x16, -0x17, -0x0f, -0x0e, -0x0d, -0x0c]);

class ModuleReader {
  readonly reader: ByteReader;
  readonly sections: Section[] = [];
  readonly types: TypeDefinition[] = [];
  readonly imports: ImportEntry[] = [];
  readonly functionTypes: number[] = [];
  readonly tables: TableType[] = [];
  readonly memories: MemoryType[] = [];
  readonly globals: GlobalType[] = [];
  readonly tags: number[] = [];
  readonly exports: ExportEntry[] = [];
  readonly importReferences = new IntList(0);
  /** Made when the first reference is read; all functions are declared by then. */
  reachable: Uint8Array | undefined;
  readonly features = new Set<Feature>();
  readonly hazards: Hazard[] = [];
  start: number | undefined;
  importedFunctions = 0;
  elementSegments = 0;
  dataSegments = 0;
  dataCount: number | undefined;
  bodies = new Int32Array(0);

  constructor(bytes: Uint8Array, source: string) {
    this.reader = new ByteReader(bytes, source);
  }

  read(): ParsedModule {
    const { reader } = this;
    reader.position = 8;
    let order = -1;
    while (reader.position < reader.bytes.length) {
      const at = reader.position;
      const id = reader.byte();
      const size = reader.u32();
      const start = reader.position;
      if (size > reader.bytes.length - start) reader.fail(`section of ${size} bytes passes the end of the module`, at);
      reader.end = start + size;
      if (id === 0) {
        this.sections.push({ id, start, end: reader.end, name: reader.name() });
        reader.position = reader.end;
      } else {
        const place = SECTION_ORDER.indexOf(id);
        if (place < 0) reader.fail(`unknown section id ${id}`, at);
        if (place === order) reader.fail(`section ${id} stands twice`, at);
        if (place < order) reader.fail(`section ${id} is out of order`, at);
        order = place;
        this.sections.push({ id, start, end: reader.end });
        this.#section(id);
        if (reader.position !== reader.end) reader.fail(`section ${id} has bytes left over`);
      }
      reader.end = reader.bytes.length;
    }
    return this.#finish();
  }

  #finish(): ParsedModule {
    const { reader } = this;
    const defined = this.functionTypes.length - this.importedFunctions;
    if (defined !== this.bodies.length / 2)
      reader.fail(`${defined} functions are declared, but ${this.bodies.length / 2} have a body`, reader.bytes.length);
    if (this.dataCount !== undefined && this.dataCount !== this.dataSegments) {
      reader.fail(`${this.dataCount} data segments are announced, but ${this.dataSegments} are there`, reader.bytes.length);
    }
    if (this.memories.length > 1) this.features.add("multi-memory");
    const reachable = (this.reachable ??= new Uint8Array(this.functionTypes.length));
    if (this.start !== undefined) reachable[this.start] = 1;
    return {
      bytes: reader.bytes,
      source: reader.source,
      sections: this.sections,
      types: this.types,
      imports: this.imports,
      functionTypes: this.functionTypes,
      importedFunctions: this.importedFunctions,
      tables: this.tables,
      memories: this.memories,
      globals: this.globals,
      tags: this.tags,
      exports: this.exports,
      start: this.start,
      elementSegments: this.elementSegments,
      dataSegments: this.dataSegments,
      dataCount: this.dataCount,
      bodies: this.bodies,
      reachable,
      importReferences: this.importReferences,
      features: this.features,
      hazards: this.hazards,
    };
  }

  #section(id: number): void {
    switch (id) {
      case 1:
        return this.#typeSection();
      case 2:
        return this.#importSection();
      case 3:
        return this.#functionSection();
      case 4:
        return this.#each("tables", ENGINE_LIMITS.tables, () => this.#tableDefinition());
      case 5:
        return this.#each("memories", ENGINE_LIMITS.memories, () => this.#memory(false));
      case 6:
        return this.#each("globals", ENGINE_LIMITS.globals, () => {
          this.#global(false);
          this.#constantExpression();
        });
      case 7:
        return this.#exportSection();
      case 8:
        return this.#startSection();
      case 9:
        return this.#each("element segments", ENGINE_LIMITS.elementSegments, () => this.#elementSegment());
      case 10:
        return this.#codeSection();
      case 11:
        return this.#each("data segments", ENGINE_LIMITS.dataSegments, () => this.#dataSegment());
      case 12:
        this.dataCount = this.reader.u32();
        return;
      default:
        return this.#each("tags", ENGINE_LIMITS.tags, () => this.#tag());
    }
  }

  #each(what: string, limit: number, read: () => void): void {
    for (let left = this.reader.count(what, limit); left > 0; left--) read();
  }

  #index(what: string, limit: number): number {
    const at = this.reader.position;
    const index = this.reader.u32();
    if (index >= limit) this.reader.fail(`${what} index ${index} is out of range (there are ${limit})`, at);
    return index;
  }

  #typeSection(): void {
    this.#each("types", ENGINE_LIMITS.types, () => {
      if (this.reader.bytes[this.reader.position] === 0x4e) {
        this.reader.position++;
        this.features.add("gc");
        const count = this.reader.count("types of a recursion group", ENGINE_LIMITS.types);
        const limit = this.types.length + count;
        for (let index = 0; index < count; index++) this.#subType(limit);
      } else {
        this.#subType(this.types.length + 1);
      }
    });
  }

  #subType(limit: number): void {
    const { reader } = this;
    const form = reader.bytes[reader.position];
    if (form === 0x50 || form === 0x4f) {
      reader.position++;
      this.features.add("gc");
      this.#each("supertypes", 1, () => this.#index("type", limit));
    }
    const at = reader.position;
    switch (reader.byte()) {
      case 0x60: {
        const params = this.#typeList("parameters", ENGINE_LIMITS.params, limit);
        const results = this.#typeList("results", ENGINE_LIMITS.results, limit);
        if (results.length > 1) this.features.add("multi-value");
        this.types.push({ kind: "function", params, results });
        return;
      }
      case 0x5f: {
        const fields: ValueType[] = [];
        this.#each("fields", ENGINE_LIMITS.fields, () => fields.push(this.#field(limit)));
        this.types.push({ kind: "struct", fields });
        this.features.add("gc");
        return;
      }
      case 0x5e:
        this.types.push({ kind: "array", fields: [this.#field(limit)] });
        this.features.add("gc");
        return;
      default:
        reader.unsupported("this form of type", at);
    }
  }

  #field(limit: number): ValueType {
    const { reader } = this;
    const packed = reader.bytes[reader.position];
    let type: ValueType;
    if (packed === 0x78 || packed === 0x77) {
      reader.position++;
      type = { code: packed };
    } else type = this.#valueType(limit);
    this.#flag("mutability");
    return type;
  }

  #flag(what: string): boolean {
    const at = this.reader.position;
    const flag = this.reader.byte();
    if (flag > 1) this.reader.fail(`${what} flag is ${flag}, but must be 0 or 1`, at);
    return flag === 1;
  }

  #typeList(what: string, max: number, limit: number): ValueType[] {
    const list: ValueType[] = [];
    this.#each(what, max, () => list.push(this.#valueType(limit)));
    return list;
  }

  #valueType(limit: number = this.types.length): ValueType {
    return readValueType(this.reader, limit, this.features);
  }

  #importSection(): void {
    this.#each("imports", ENGINE_LIMITS.imports, () => {
      const { reader } = this;
      const module = reader.name();
      const name = reader.name();
      const at = reader.position;
      const kind: ExternalKind | undefined = KINDS[reader.byte()];
      if (kind === undefined) return reader.unsupported("this kind of import", at);
      this.imports.push({ module, name, kind, index: this.#importIndex(kind) });
    });
    this.importedFunctions = this.functionTypes.length;
  }

  #importIndex(kind: ExternalKind): number {
    switch (kind) {
      case "function":
        return this.functionTypes.push(this.#functionType()) - 1;
      case "table":
        return this.#table(true);
      case "memory":
        return this.#memory(true);
      case "global":
        return this.#global(true);
      default:
        return this.#tag();
    }
  }

  #functionType(): number {
    const at = this.reader.position;
    const index = this.#index("type", this.types.length);
    if (this.types[index]?.kind !== "function") this.reader.fail(`type ${index} is not a function type`, at);
    return index;
  }

  #functionSection(): void {
    this.#each("functions", ENGINE_LIMITS.functions, () => this.functionTypes.push(this.#functionType()));
  }

  #limits(what: string): { minimum: number; maximum: number | undefined; shared: boolean; address64: boolean; offset: number } {
    const { reader } = this;
    const offset = reader.position;
    const flags = reader.byte();
    if (flags > 7) reader.unsupported(`${what} with limits flag ${flags}`, offset);
    const address64 = (flags & 4) !== 0;
    const size = (): number => (address64 ? Number(reader.u64()) : reader.u32());
    const minimum = size();
    const maximum = (flags & 1) !== 0 ? size() : undefined;
    if (maximum !== undefined && maximum < minimum) reader.fail(`${what} has a maximum below its minimum`, offset);
    if (address64) this.features.add("memory64");
    return { minimum, maximum, shared: (flags & 2) !== 0, address64, offset };
  }

  #memory(imported: boolean): number {
    const limits = this.#limits("memory");
    if (limits.shared) {
      this.features.add("threads");
      noteHazard(this.hazards, { kind: "shared-memory", what: "a shared memory", offset: limits.offset });
    }
    return this.memories.push({ ...limits, imported }) - 1;
  }

  #table(imported: boolean): number {
    const at = this.reader.position;
    const element = this.#valueType();
    if (!isReference(element)) this.reader.fail("a table's elements must be references", at);
    const { shared, ...limits } = this.#limits("table");
    if (shared) this.reader.unsupported("a shared table", limits.offset);
    const hazard = heapHazard(element, "a table");
    if (hazard !== undefined) noteHazard(this.hazards, { kind: "gc-heap", what: hazard, offset: at });
    return this.tables.push({ ...limits, element, imported }) - 1;
  }

  #tableDefinition(): void {
    const { reader } = this;
    if (reader.bytes[reader.position] !== 0x40) {
      this.#table(false);
      return;
    }
    const at = reader.position++;
    if (reader.byte() !== 0) reader.fail("a table with an initialiser must have a zero byte", at);
    this.#table(false);
    this.#constantExpression();
  }

  #global(imported: boolean): number {
    const at = this.reader.position;
    const type = this.#valueType();
    const mutable = this.#flag("mutability");
    const hazard = heapHazard(type, "a global");
    if (hazard !== undefined) noteHazard(this.hazards, { kind: "gc-heap", what: hazard, offset: at });
    return this.globals.push({ type, mutable, imported, offset: at }) - 1;
  }

  #tag(): number {
    const at = this.reader.position;
    if (this.reader.byte() !== 0) this.reader.fail("a tag's attribute must be 0", at);
    const index = this.#functionType();
    const type = this.types[index];
    // An exception that carries a reference can carry another exception: a chain without end on a heap without limit.
    if (type?.kind === "function" && type.params.some(isReference)) {
      noteHazard(this.hazards, { kind: "gc-heap", what: "an exception that carries a reference", offset: at });
    }
    if (type?.kind === "function" && type.params.length > MAX_EXCEPTION_VALUES) {
      noteHazard(this.hazards, { kind: "gc-heap", what: `an exception with more than ${MAX_EXCEPTION_VALUES} values`, offset: at });
    }
    return this.tags.push(index) - 1;
  }

  #startSection(): void {
    const at = this.reader.position;
    const start = this.#index("function", this.functionTypes.length);
    const type = this.types[this.functionTypes[start] as number];
    if (type?.kind !== "function" || type.params.length > 0 || type.results.length > 0) {
      this.reader.fail(`start function ${start} must have neither parameters nor results`, at);
    }
    this.start = start;
  }

  #exportSection(): void {
    const names = new Set<string>();
    this.#each("exports", ENGINE_LIMITS.exports, () => {
      const { reader } = this;
      const at = reader.position;
      const name = reader.name();
      if (names.has(name)) reader.fail(`export "${name}" stands twice`, at);
      names.add(name);
      const kindAt = reader.position;
      const kind: ExternalKind | undefined = KINDS[reader.byte()];
      if (kind === undefined) return reader.fail("unknown kind of export", kindAt);
      this.exports.push({ name, kind, index: this.#exportIndex(kind) });
    });
  }

  #exportIndex(kind: ExternalKind): number {
    switch (kind) {
      case "function":
        return this.#functionReference();
      case "table":
        return this.#index("table", this.tables.length);
      case "memory":
        return this.#index("memory", this.memories.length);
      case "global":
        return this.#index("global", this.globals.length);
      default:
        return this.#index("tag", this.tags.length);
    }
  }

  #functionReference(): number {
    const start = this.reader.position;
    const index = this.#index("function", this.functionTypes.length);
    this.reachable ??= new Uint8Array(this.functionTypes.length);
    this.reachable[index] = 1;
    if (index < this.importedFunctions) {
      this.importReferences.push(start);
      this.importReferences.push(this.reader.position);
      this.importReferences.push(index);
    }
    return index;
  }

  /** Element segments, section 5.5.12: bit 0 not active, bit 1 explicit index or declarative, bit 2 expressions. */
  #elementSegment(): void {
    const { reader } = this;
    const at = reader.position;
    const flags = reader.u32();
    if (flags > 7) reader.fail(`element segment has kind ${flags}, but must be below 8`, at);
    const active = (flags & 1) === 0;
    if (active) {
      const table = (flags & 2) !== 0 ? this.#index("table", this.tables.length) : 0;
      if (table >= this.tables.length) reader.fail("element segment without a table", at);
      this.#constantExpression();
    } else this.features.add("bulk-memory");
    const expressions = (flags & 4) !== 0;
    if (!active || (flags & 2) !== 0) {
      if (expressions) {
        const typeAt = reader.position;
        const hazard = heapHazard(this.#valueType(), "an element segment");
        if (hazard !== undefined) noteHazard(this.hazards, { kind: "gc-heap", what: hazard, offset: typeAt });
      } else if (reader.byte() !== 0) reader.fail("element kind must be 0", reader.position - 1);
    }
    if (expressions) this.#each("elements", ENGINE_LIMITS.elementSegments, () => this.#constantExpression());
    else this.#each("elements", ENGINE_LIMITS.elementSegments, () => this.#functionReference());
    this.elementSegments++;
  }

  #dataSegment(): void {
    const { reader } = this;
    const at = reader.position;
    const flags = reader.u32();
    if (flags > 2) reader.fail(`data segment has kind ${flags}, but must be below 3`, at);
    if (flags !== 1) {
      const memory = flags === 2 ? this.#index("memory", this.memories.length) : 0;
      if (memory >= this.memories.length) reader.fail("data segment without a memory", at);
      this.#constantExpression();
    } else this.features.add("bulk-memory");
    reader.take(reader.u32());
    this.dataSegments++;
  }

  #codeSection(): void {
    const { reader } = this;
    const count = reader.count("function bodies", ENGINE_LIMITS.functions);
    const bodies = new Int32Array(count * 2);
    for (let index = 0; index < count; index++) {
      const at = reader.position;
      const size = reader.u32();
      if (size > reader.end - reader.position) reader.fail(`function body of ${size} bytes passes the end of the code section`, at);
      if (size > ENGINE_LIMITS.functionBytes) reader.fail(`function body of ${size} bytes, at most ${ENGINE_LIMITS.functionBytes} are allowed`, at);
      bodies[index * 2] = reader.position;
      reader.position += size;
      bodies[index * 2 + 1] = reader.position;
    }
    this.bodies = bodies;
  }

  /** A constant expression: checks its indexes and notes functions it refers to; its type is the engine's business. */
  #constantExpression(): void {
    const { reader } = this;
    for (;;) {
      const at = reader.position;
      const code = reader.byte();
      switch (code) {
        case 0x0b:
          return;
        case 0x41:
          reader.skipLeb(5);
          break;
        case 0x42:
          reader.skipLeb(10);
          break;
        case 0x43:
          reader.take(4);
          break;
        case 0x44:
          reader.take(8);
          break;
        case 0x23:
          this.#index("global", this.globals.length);
          break;
        case 0xd0:
          readHeapType(reader, this.types.length, this.features);
          break;
        case 0xd2:
          this.#functionReference();
          break;
        case 0x6a:
        case 0x6b:
        case 0x6c:
        case 0x7c:
        case 0x7d:
        case 0x7e:
          this.features.add("extended-const");
          break;
        case 0xfb:
          this.#constantHeapInstruction(at);
          break;
        case 0xfd:
          if (reader.u32() !== 12) reader.fail("this instruction may not stand in a constant expression", at);
          reader.take(16);
          this.features.add("simd");
          break;
        default:
          reader.fail(`instruction 0x${code.toString(16)} may not stand in a constant expression`, at);
      }
    }
  }

  #constantHeapInstruction(at: number): void {
    const { reader } = this;
    this.features.add("gc");
    const code = reader.u32();
    if (code === 0 || code === 1 || code === 6 || code === 7 || code === 8) {
      this.#index("type", this.types.length);
      if (code === 8) reader.u32();
      noteHazard(this.hazards, { kind: "gc-heap", what: "an allocation of a struct or array", offset: at });
    } else if (code !== 26 && code !== 27 && code !== 28) reader.fail("this instruction may not stand in a constant expression", at);
  }
}

/** Hazards that are kept: one is enough to refuse a module, a few tell where to look. */
const MAX_HAZARDS = 16;

/** Notes a hazard, unless many are known. */
export function noteHazard(hazards: Hazard[], hazard: Hazard): void {
  if (hazards.length < MAX_HAZARDS) hazards.push(hazard);
}

/** Why a table, global or segment of this type is a hazard, if it is one. */
export function heapHazard(type: ValueType, where: string): string | undefined {
  if (!keepsHeap(type)) return undefined;
  const heap = type.heap ?? type.code - 0x80;
  if (heap === EXTERN) return undefined; // The host hands out no externref, so that such a place stays null.
  if (heap === -0x17 || heap === -0x0c) return `${where} of exnref`;
  return undefined; // GC references need an allocation first, and that is a hazard by itself.
}

/** Reads a heap type: a type index below `limit`, or an abstract heap type as its negative code. */
export function readHeapType(reader: ByteReader, limit: number, features: Set<Feature>): number {
  const at = reader.position;
  const heap = reader.s33();
  if (heap >= 0) {
    if (heap >= limit) reader.fail(`type index ${heap} is out of range (there are ${limit})`, at);
    features.add("typed-function-references");
    return heap;
  }
  if (!ABSTRACT_HEAPS.has(heap)) reader.unsupported(`heap type ${heap}`, at);
  if (heap !== FUNC && heap !== EXTERN) features.add(heap === -0x17 || heap === -0x0c ? "exception-handling" : "gc");
  return heap;
}

/** Reads a value type; type indexes must be below `limit`. */
export function readValueType(reader: ByteReader, limit: number, features: Set<Feature>): ValueType {
  const at = reader.position;
  const code = reader.byte();
  if (code >= 0x7c && code <= 0x7f) return simpleType(code);
  if (code === 0x7b) {
    features.add("simd");
    return simpleType(code);
  }
  features.add("reference-types");
  if (code === 0x63 || code === 0x64) {
    features.add("typed-function-references");
    return { code, heap: readHeapType(reader, limit, features) };
  }
  if (!ABSTRACT_HEAPS.has(code - 0x80)) reader.unsupported(`value type 0x${code.toString(16)}`, at);
  if (code !== 0x70 && code !== 0x6f) features.add(code === 0x69 || code === 0x74 ? "exception-handling" : "gc");
  return simpleType(code);
}

/** One object for each type of one byte: modules have them by the million. */
const SIMPLE_TYPES: readonly ValueType[] = Array.from({ length: 128 }, (_unused, code) => Object.freeze({ code }));

function simpleType(code: number): ValueType {
  return SIMPLE_TYPES[code] ?? { code };
}

const SIMPLE_NAMES: Readonly<Record<number, string>> = {
  0x7f: "i32",
  0x7e: "i64",
  0x7d: "f32",
  0x7c: "f64",
  0x7b: "v128",
  0x70: "funcref",
  0x6f: "externref",
  0x69: "exnref",
};

/** A value type in the words of the text format. */
export function valueTypeName(type: ValueType): string {
  const name = SIMPLE_NAMES[type.code];
  if (name !== undefined) return name;
  return type.heap === undefined ? `ref 0x${type.code.toString(16)}` : `(ref ${type.code === 0x63 ? "null " : ""}${type.heap})`;
}

const typeNames = new WeakMap<TypeDefinition, string>();

/** A function type in words: `(i32, i64) -> i32`. */
export function functionTypeName(type: TypeDefinition | undefined): string {
  if (type?.kind !== "function") return "unknown";
  let name = typeNames.get(type);
  if (name === undefined) {
    const results = type.results.map(valueTypeName);
    name = `(${type.params.map(valueTypeName).join(", ")}) -> ${results.length === 1 ? results[0] : `(${results.join(", ")})`}`;
    typeNames.set(type, name);
  }
  return name;
}
