// Writes the rewritten module: copies what did not change, and applies the scanner's edits and the additions.

import { MortiseError } from "../api/errors.ts";
import { VALUE_TYPE, leb, nameBytes, signedLeb } from "./code-builder.ts";
import { type EncodedType, type Injection, encodeBody } from "./injection.ts";
import { ENGINE_LIMITS, type ParsedModule, SECTION_ORDER, type Section } from "./module-reader.ts";
import type { Plan } from "./plan.ts";
import { EDIT, type ImportedCall, type ScanResult } from "./scan.ts";

/** Rewritten bytes, and where each body begins in them. */
export interface Emitted {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Offset of each defined function's body (its size prefix), one more entry for the first injected body. */
  readonly bodyStart: Int32Array;
}

/** Custom sections whose content rewriting makes false or that describe code that no longer exists as such. */
const FALSIFIED = /^(name$|\.debug_|sourceMappingURL$|external_debug_info$|metadata\.code\.|compilationHints$|build_id$|reloc\.|linking$|dylink)/;

/** Whether a custom section is dropped because rewriting falsifies it. */
export function isFalsified(name: string): boolean {
  return FALSIFIED.test(name);
}

const CHECK_BYTES = 22;

/** What {@link emitModule} needs. */
export interface EmitInput {
  readonly module: ParsedModule;
  readonly scan: ScanResult;
  readonly plan: Plan;
  readonly injection: Injection;
  readonly imported: readonly ImportedCall[];
  readonly keepCustomSections: boolean;
}

/** Writes the module. */
export function emitModule(input: EmitInput): Emitted {
  return new Emitter(input).emit();
}

class Emitter {
  readonly #in: EmitInput;
  #out: Uint8Array<ArrayBuffer>;
  #at = 0;
  readonly #bodyStart: Int32Array;

  constructor(input: EmitInput) {
    this.#in = input;
    this.#out = new Uint8Array(Math.ceil(input.module.bytes.length * 1.25) + 16_384);
    this.#bodyStart = new Int32Array(input.module.bodies.length / 2 + 1);
  }

  emit(): Emitted {
    const { module } = this.#in;
    this.#copy(0, 8);
    const bySection = new Map<number, Section>();
    for (const section of module.sections) if (section.id !== 0) bySection.set(section.id, section);
    for (const id of SECTION_ORDER) this.#section(id, bySection.get(id));
    if (this.#in.keepCustomSections) {
      for (const section of module.sections) if (section.id === 0 && !isFalsified(section.name ?? "")) this.#verbatim(section);
    }
    if (this.#at > ENGINE_LIMITS.moduleBytes) this.#tooLarge("the module", this.#at, ENGINE_LIMITS.moduleBytes);
    return { bytes: this.#out.subarray(0, this.#at), bodyStart: this.#bodyStart };
  }

  #tooLarge(what: string, size: number, limit: number): never {
    throw new MortiseError("MORTISE_WASM_TOO_LARGE", { source: this.#in.module.source, what, size, limit });
  }

  #reserve(size: number): void {
    if (this.#at + size <= this.#out.length) return;
    const next = new Uint8Array(Math.max(this.#out.length * 2, this.#at + size));
    next.set(this.#out.subarray(0, this.#at));
    this.#out = next;
  }

  #copy(start: number, end: number): void {
    this.#reserve(end - start);
    const { bytes } = this.#in.module;
    const out = this.#out;
    let at = this.#at;
    if (end - start > 48) {
      out.set(bytes.subarray(start, end), at);
      at += end - start;
    } else for (let position = start; position < end; position++) out[at++] = bytes[position] as number;
    this.#at = at;
  }

  #write(bytes: readonly number[]): void {
    this.#reserve(bytes.length);
    for (const byte of bytes) this.#out[this.#at++] = byte;
  }

  /** Reserves five bytes for a LEB128 that is known later. */
  #placeholder(): number {
    this.#reserve(5);
    this.#at += 5;
    return this.#at - 5;
  }

  #patch(at: number, value: number): void {
    const out = this.#out;
    out[at] = (value & 0x7f) | 0x80;
    out[at + 1] = ((value >>> 7) & 0x7f) | 0x80;
    out[at + 2] = ((value >>> 14) & 0x7f) | 0x80;
    out[at + 3] = ((value >>> 21) & 0x7f) | 0x80;
    out[at + 4] = value >>> 28;
  }

  #verbatim(section: Section): void {
    this.#write([section.id, ...leb(section.end - section.start)]);
    this.#copy(section.start, section.end);
  }

  #section(id: number, section: Section | undefined): void {
    const { injection, module } = this.#in;
    switch (id) {
      case 1:
        return this.#extend(id, section, "types", injection.types.map(encodeFunctionType), ENGINE_LIMITS.types, module.types.length);
      case 3:
        return this.#extend(
          id,
          section,
          "functions",
          injection.functions.map((fn) => leb(injection.typeIndexOf(fn))),
          ENGINE_LIMITS.functions,
          module.functionTypes.length,
        );
      case 4:
        return this.#extend(id, section, "tables", [[VALUE_TYPE.funcref, 1, 1, 1]], ENGINE_LIMITS.tables, module.tables.length);
      case 5:
        return this.#extend(
          id,
          section,
          "memories",
          injection.memories.map(({ minimum, maximum }) => [1, ...leb(minimum), ...leb(maximum)]),
          ENGINE_LIMITS.memories,
          module.memories.length,
        );
      case 6:
        return this.#extend(
          id,
          section,
          "globals",
          injection.globals.map(({ type, initial }) => [VALUE_TYPE[type], 1, type === "i64" ? 0x42 : 0x41, ...signedLeb(initial), 0x0b]),
          ENGINE_LIMITS.globals,
          module.globals.length,
        );
      case 7:
        return this.#extend(
          id,
          section,
          "exports",
          injection.exports.map((item) => [...nameBytes(item.name), item.kind, ...leb(item.index)]),
          ENGINE_LIMITS.exports,
          module.exports.length,
        );
      case 8:
        return; // The host runs the start function, under limits, when the instance is wired.
      case 10:
        return this.#code();
      default:
        if (section !== undefined) this.#referring(section);
    }
  }

  /** Writes a section with items appended; its own items are copied with function references replaced. */
  #extend(id: number, section: Section | undefined, what: string, items: readonly (readonly number[])[], limit: number, existing: number): void {
    if (section === undefined && items.length === 0) return;
    if (existing + items.length > limit) this.#tooLarge(`the number of ${what}`, existing + items.length, limit);
    this.#write([id]);
    const size = this.#placeholder();
    const start = this.#at;
    let count = 0;
    let from = 0;
    if (section !== undefined) {
      [count, from] = this.#readCount(section);
    }
    this.#write(leb(count + items.length));
    if (section !== undefined) this.#copyReferring(from, section.end);
    for (const item of items) this.#write(item);
    this.#patch(size, this.#at - start);
  }

  #readCount(section: Section): [count: number, end: number] {
    const { bytes } = this.#in.module;
    let position = section.start;
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = bytes[position++] as number;
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) return [value, position];
    }
  }

  #referring(section: Section): void {
    this.#write([section.id]);
    const size = this.#placeholder();
    const start = this.#at;
    this.#copyReferring(section.start, section.end);
    this.#patch(size, this.#at - start);
  }

  /** Copies bytes, replacing references to imported functions by references to their stand-ins. */
  #copyReferring(start: number, end: number): void {
    const { module, imported } = this.#in;
    let position = start;
    for (const reference of module.functionReferences) {
      if (reference.start < start || reference.end > end || reference.index >= module.importedFunctions) continue;
      this.#copy(position, reference.start);
      this.#write(leb((imported[reference.index] as ImportedCall).target));
      position = reference.end;
    }
    this.#copy(position, end);
  }

  #code(): void {
    const { module, injection } = this.#in;
    this.#write([10]);
    const size = this.#placeholder();
    const start = this.#at;
    const count = module.bodies.length / 2;
    this.#write(leb(count + injection.functions.length));
    for (let body = 0; body < count; body++) this.#body(body);
    this.#bodyStart[count] = this.#at;
    for (const fn of injection.functions) this.#write(encodeBody(fn));
    this.#patch(size, this.#at - start);
  }

  #body(body: number): void {
    const { module, scan, plan } = this.#in;
    const start = module.bodies[body * 2] as number;
    const end = module.bodies[body * 2 + 1] as number;
    this.#bodyStart[body] = this.#at;
    const size = this.#placeholder();
    const bodyAt = this.#at;
    const first = scan.functionEdits[body] as number;
    const last = scan.functionEdits[body + 1] as number;
    const temporaries = plan.checked[body] === 1 || scan.usesInline[body] === 1;
    if (temporaries) {
      const codeStart = scan.codeStart[body] as number;
      const locals = scan.localCount[body] as number;
      if (locals + 3 > ENGINE_LIMITS.locals)
        this.#tooLarge(`the locals of function ${module.importedFunctions + body}`, locals + 3, ENGINE_LIMITS.locals);
      const inline = scan.usesInline[body] === 1;
      this.#write(leb((scan.groupCount[body] as number) + (inline ? 2 : 1)));
      this.#copy(scan.groupsStart[body] as number, codeStart);
      this.#write(inline ? [1, VALUE_TYPE.i32, 2, VALUE_TYPE.i64] : [1, VALUE_TYPE.i32]);
      this.#edits(first, last, codeStart, end, locals);
    } else if (first === last) this.#copy(start, end);
    else this.#edits(first, last, start, end, 0);
    const length = this.#at - bodyAt;
    if (length > ENGINE_LIMITS.functionBytes) {
      this.#tooLarge(`the body of function ${module.importedFunctions + body}`, length, ENGINE_LIMITS.functionBytes);
    }
    this.#patch(size, length);
  }

  #edits(first: number, last: number, start: number, end: number, temporary: number): void {
    const { scan, plan, injection } = this.#in;
    const { editPosition, editEnd, editKind, editArgument } = scan;
    let position = start;
    for (let edit = first; edit < last; edit++) {
      const argument = editArgument.data[edit] as number;
      const kind = editKind.data[edit] as number;
      if (kind === EDIT.check) {
        const units = plan.charge[argument] as number;
        if (units === 0) continue;
        const at = editPosition.data[edit] as number;
        if (at > position) this.#copy(position, at);
        position = at;
        this.#check(units, temporary);
        continue;
      }
      this.#copy(position, editPosition.data[edit] as number);
      position = editEnd.data[edit] as number;
      if (kind === EDIT.index) this.#write(leb(argument));
      else if (kind === EDIT.inline) this.#inline(injection.inlines[argument] as readonly number[], temporary);
      else this.#write([0x10, ...leb(argument)]);
    }
    this.#copy(position, end);
  }

  #leb(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.#out[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#out[this.#at++] = rest;
  }

  #inline(sequence: readonly number[], temporary: number): void {
    this.#reserve(sequence.length * 3);
    for (const byte of sequence) {
      if (byte < 0x100) this.#out[this.#at++] = byte;
      else this.#leb(temporary + (byte - 0x100));
    }
  }

  /** budget -= units; if (budget < 0) refill(). */
  #check(units: number, temporary: number): void {
    const { budget, refill } = this.#in.injection;
    this.#reserve(CHECK_BYTES + 24);
    const put = (byte: number): void => {
      this.#out[this.#at++] = byte;
    };
    put(0x23);
    this.#leb(budget);
    put(0x41);
    // Signed LEB128 of a positive number below 2^27.
    let rest = units;
    while (rest > 0x3f) {
      put((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    put(rest);
    put(0x6b);
    put(0x22);
    this.#leb(temporary);
    put(0x24);
    this.#leb(budget);
    put(0x20);
    this.#leb(temporary);
    put(0x41);
    put(0x00);
    put(0x48);
    put(0x04);
    put(0x40);
    put(0x10);
    this.#leb(refill);
    put(0x0b);
  }
}

function encodeFunctionType(type: { readonly params: readonly EncodedType[]; readonly results: readonly EncodedType[] }): number[] {
  return [0x60, ...leb(type.params.length), ...type.params.flat(), ...leb(type.results.length), ...type.results.flat()];
}
