// Writes the rewritten module: copies what did not change, and applies the scanner's edits and the additions.

import { MortiseError } from "../api/errors.ts";
import { VALUE_TYPE, leb, nameBytes, signedLeb } from "./code-builder.ts";
import { ByteList } from "./byte-list.ts";
import { IntList } from "./int-list.ts";
import { SETTLE_COST, SETTLE_COST_WITH_CALLS } from "./cost.ts";
import { type EncodedType, type Injection, TICK_SLOTS, encodeBody, encodeType } from "./injection.ts";
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

/** Bytes that any one insertion stays below, inline sequences excepted. */
const INSERTION_BYTES = 64;

/** Custom section in which engines look for the branches that are hardly ever taken (branch hinting proposal). */
const HINT_SECTION = "metadata.code.branch_hint";

/** What {@link emitModule} needs. */
export interface EmitInput {
  readonly module: ParsedModule;
  readonly scan: ScanResult;
  readonly plan: Plan;
  readonly injection: Injection;
  readonly imported: readonly ImportedCall[];
  readonly keepCustomSections: boolean;
  /** Name of the module in stack traces. */
  readonly label?: string | undefined;
}

/** Writes the module. */
export function emitModule(input: EmitInput): Emitted {
  return new Emitter(input).emit();
}

/** Writes one body again as far as an offset in it, and tells where in the original body that was. */
export function traceBody(input: EmitInput, body: number, rewritten: number): number {
  const trace: BodyTrace = { wanted: rewritten, rewritten: 0, original: 0, limit: Number.POSITIVE_INFINITY };
  new Emitter(input).traceBody(body, trace);
  // Inside an insertion it is the instruction that the insertion stands before or replaces.
  return Math.min(trace.original + Math.max(rewritten - trace.rewritten, 0), trace.limit);
}

/** The last place before a wanted offset at which original and rewritten body were in step, and where the next is. */
interface BodyTrace {
  readonly wanted: number;
  rewritten: number;
  original: number;
  limit: number;
}

/** Locals that a rewritten body has beyond the original's, by index. */
interface ExtraLocals {
  /** An i32 that checks use for a moment; inline sequences have two i64 behind it. */
  readonly temporary: number;
  /** What loops have counted and not settled yet; -1 in a body that counts in the budget directly. */
  readonly owed: number;
  /** What {@link owed} may reach. */
  readonly settleCost: number;
}

class Emitter {
  readonly #in: EmitInput;
  #out: Uint8Array<ArrayBuffer>;
  #at = 0;
  readonly #bodyStart: Int32Array;
  /** Offsets in the present body of the branches that are hardly ever taken. */
  readonly #hints = new IntList();
  readonly #hintBytes = new ByteList();
  #hintedFunctions = 0;
  #bodyAt = 0;

  constructor(input: EmitInput) {
    this.#in = input;
    this.#out = new Uint8Array(0);
    this.#bodyStart = new Int32Array(input.module.bodies.length / 2 + 1);
  }

  emit(): Emitted {
    const { module } = this.#in;
    // The hints stand before the code, and are known after it.
    this.#out = new Uint8Array(Math.ceil(module.bytes.length * 1.3) + 16_384);
    this.#code();
    const code = this.#out.subarray(0, this.#at);
    this.#out = new Uint8Array(module.bytes.length + this.#at + this.#hintBytes.length * 2 + 16_384);
    this.#at = 0;
    this.#copy(0, 8);
    const bySection = new Map<number, Section>();
    for (const section of module.sections) if (section.id !== 0) bySection.set(section.id, section);
    for (const id of SECTION_ORDER) {
      if (id === 10) this.#codeSection(code);
      else this.#section(id, bySection.get(id));
    }
    if (this.#in.keepCustomSections) {
      for (const section of module.sections) if (section.id === 0 && !isFalsified(section.name ?? "")) this.#verbatim(section);
    }
    if (this.#in.label !== undefined) this.#nameSection(this.#in.label);
    if (this.#at > ENGINE_LIMITS.moduleBytes) this.#tooLarge("the module", this.#at, ENGINE_LIMITS.moduleBytes);
    return { bytes: this.#out.subarray(0, this.#at), bodyStart: this.#bodyStart };
  }

  traceBody(body: number, trace: BodyTrace): void {
    this.#body(body, trace);
  }

  /** Notes where original and rewritten body are in step; true once the wanted offset is passed. */
  #step(trace: BodyTrace, original: number): boolean {
    const rewritten = this.#at - this.#bodyAt;
    if (rewritten > trace.wanted) {
      trace.limit = original;
      return true;
    }
    trace.rewritten = rewritten;
    trace.original = original;
    return false;
  }

  #codeSection(code: Uint8Array): void {
    this.#hintSection();
    const count = this.#in.module.bodies.length / 2 + this.#in.injection.functions.length;
    const prefix = leb(count);
    this.#write([10, ...leb(code.length + prefix.length), ...prefix]);
    this.#reserve(code.length);
    this.#out.set(code, this.#at);
    for (let body = 0; body < this.#bodyStart.length; body++) (this.#bodyStart[body] as number) += this.#at;
    this.#at += code.length;
  }

  #hintSection(): void {
    if (this.#hintedFunctions === 0) return;
    const prefix = [...nameBytes(HINT_SECTION), ...leb(this.#hintedFunctions)];
    const { length } = this.#hintBytes;
    this.#write([0, ...leb(prefix.length + length), ...prefix]);
    this.#reserve(length);
    this.#out.set(this.#hintBytes.data.subarray(0, length), this.#at);
    this.#at += length;
  }

  /** Names the module, so that stack traces tell it from others. */
  #nameSection(label: string): void {
    const content = [...nameBytes("name"), 0, ...leb(nameBytes(label).length), ...nameBytes(label)];
    this.#write([0, ...leb(content.length), ...content]);
  }

  #tooLarge(what: string, size: number, limit: number): never {
    throw new MortiseError("MORTISE_WASM_TOO_LARGE", { source: this.#in.module.source, what, size, limit });
  }

  #reserve(size: number): void {
    if (this.#at + size <= this.#out.length) return;
    const next = new Uint8Array(Math.max(this.#out.length * 2, this.#at + size, 4096));
    next.set(this.#out.subarray(0, this.#at));
    this.#out = next;
  }

  #copy(start: number, end: number): void {
    const length = end - start;
    if (this.#at + length > this.#out.length) this.#reserve(length);
    const { bytes } = this.#in.module;
    const out = this.#out;
    let at = this.#at;
    if (length > 64) {
      out.set(bytes.subarray(start, end), at);
      at += length;
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
        return this.#extend(id, section, "tables", [[VALUE_TYPE.funcref, 1, TICK_SLOTS, TICK_SLOTS]], ENGINE_LIMITS.tables, module.tables.length);
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
          injection.globals.map(({ type, initial }) =>
            type === "externref"
              ? [VALUE_TYPE.externref, 1, 0xd0, VALUE_TYPE.externref, 0x0b]
              : [VALUE_TYPE[type], 1, type === "i64" ? 0x42 : 0x41, ...signedLeb(initial), 0x0b],
          ),
          ENGINE_LIMITS.globals,
          module.globals.length,
        );
      case 7:
        return this.#extend(
          id,
          section,
          "exports",
          injection.exports.map((item) => nameBytes(item.name).concat(item.kind, leb(item.index))),
          ENGINE_LIMITS.exports,
          module.exports.length,
        );
      case 8:
        return; // The host runs the start function, under limits, when the instance is wired.
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
    const [count, from] = section === undefined ? [0, 0] : this.#readCount(section);
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
    const { data, length } = module.importReferences;
    let position = start;
    for (let at = 0; at < length; at += 3) {
      const from = data[at] as number;
      if (from < start) continue;
      if (from >= end) break;
      this.#copy(position, from);
      this.#write(leb((imported[data[at + 2] as number] as ImportedCall).target));
      position = data[at + 1] as number;
    }
    this.#copy(position, end);
  }

  #code(): void {
    const { module, injection } = this.#in;
    const count = module.bodies.length / 2;
    for (let body = 0; body < count; body++) {
      this.#hints.length = 0;
      this.#body(body, undefined);
      if (this.#hints.length > 0) this.#noteHints(module.importedFunctions + body);
    }
    this.#bodyStart[count] = this.#at;
    for (const fn of injection.functions) this.#write(encodeBody(fn));
  }

  /** The hints of one function: each a byte offset from the body's start, a length of 1, and 0 for "unlikely". */
  #noteHints(functionIndex: number): void {
    const out = this.#hintBytes;
    const hints = this.#hints;
    out.leb(functionIndex);
    out.leb(hints.length);
    for (let hint = 0; hint < hints.length; hint++) {
      out.leb(hints.get(hint));
      out.byte(1);
      out.byte(0);
    }
    this.#hintedFunctions++;
  }

  #body(body: number, trace: BodyTrace | undefined): void {
    const { module, scan, plan } = this.#in;
    const start = module.bodies[body * 2] as number;
    const end = module.bodies[body * 2 + 1] as number;
    const first = scan.functionEdits[body] as number;
    const last = scan.functionEdits[body + 1] as number;
    this.#bodyStart[body] = this.#at;
    const size = this.#placeholder();
    this.#bodyAt = this.#at;
    const checked = plan.checked[body] === 1;
    const inline = scan.usesInline[body] === 1;
    if (!checked && !inline) {
      if (first === last) {
        this.#copy(start, end);
      } else this.#edits(body, start, NO_LOCALS, trace);
    } else {
      const locals = this.#extraLocals(body, inline, checked && scan.hasLoop[body] === 1);
      const codeStart = scan.codeStart[body] as number;
      if (locals.owed < 0) this.#edits(body, codeStart, locals, trace);
      else {
        // What leaves by a branch to the function's own label passes the settling behind this block.
        this.#write([0x02, ...this.#resultBlockType(body)]);
        this.#edits(body, codeStart, locals, trace);
        this.#settle(locals);
        this.#write([0x0b]);
      }
    }
    const length = this.#at - this.#bodyAt;
    if (length > ENGINE_LIMITS.functionBytes) {
      this.#tooLarge(`the body of function ${module.importedFunctions + body}`, length, ENGINE_LIMITS.functionBytes);
    }
    this.#patch(size, length);
  }

  #extraLocals(body: number, inline: boolean, counting: boolean): ExtraLocals {
    const { module, scan } = this.#in;
    const locals = scan.localCount[body] as number;
    const added = 1 + (inline ? 2 : 0) + (counting ? 1 : 0);
    if (locals + added > ENGINE_LIMITS.locals) {
      this.#tooLarge(`the locals of function ${module.importedFunctions + body}`, locals + added, ENGINE_LIMITS.locals);
    }
    this.#reserve(INSERTION_BYTES);
    this.#leb((scan.groupCount[body] as number) + added - (inline ? 1 : 0));
    this.#copy(scan.groupsStart[body] as number, scan.codeStart[body] as number);
    this.#reserve(INSERTION_BYTES);
    this.#operate(1, VALUE_TYPE.i32);
    if (inline) this.#operate(2, VALUE_TYPE.i64);
    if (counting) this.#operate(1, VALUE_TYPE.i32);
    return {
      temporary: locals,
      owed: counting ? locals + added - 1 : -1,
      settleCost: scan.hasCall[body] === 1 ? SETTLE_COST_WITH_CALLS : SETTLE_COST,
    };
  }

  /** Block type of a function's results. */
  #resultBlockType(body: number): readonly number[] {
    const { module, injection } = this.#in;
    const type = module.types[module.functionTypes[module.importedFunctions + body] as number];
    const results = type?.kind === "function" ? type.results : [];
    const [only] = results;
    if (only === undefined) return [0x40];
    return results.length === 1 ? encodeType(only) : leb(injection.type([], results.map(encodeType)));
  }

  /** Applies a body's edits to the bytes from `start` on. */
  #edits(body: number, start: number, locals: ExtraLocals, trace: BodyTrace | undefined): void {
    const { module, scan, plan, injection } = this.#in;
    const first = scan.functionEdits[body] as number;
    const last = scan.functionEdits[body + 1] as number;
    const entry = scan.functionSegments[body] as number;
    const bodyStart = module.bodies[body * 2] as number;
    const end = module.bodies[body * 2 + 1] as number;
    const editPosition = scan.editPosition.data;
    const editEnd = scan.editEnd.data;
    const editKind = scan.editKind.data;
    const editArgument = scan.editArgument.data;
    const { charge } = plan;
    let position = start;
    if (trace !== undefined) this.#step(trace, start - bodyStart);
    for (let edit = first; edit < last; edit++) {
      const argument = editArgument[edit] as number;
      const kind = editKind[edit] as number;
      if (kind === EDIT.check && charge[argument] === 0) continue;
      if (kind === EDIT.settle && locals.owed < 0) continue;
      const at = editPosition[edit] as number;
      if (at > position) this.#copy(position, at);
      position = editEnd[edit] as number;
      if (trace !== undefined && this.#step(trace, at - bodyStart)) return;
      if (this.#at + INSERTION_BYTES > this.#out.length) this.#reserve(INSERTION_BYTES);
      switch (kind) {
        case EDIT.check:
          if (locals.owed < 0) this.#check(charge[argument] as number, locals);
          else if (argument === entry && (charge[argument] as number) <= SETTLE_COST_WITH_CALLS) this.#owe(charge[argument] as number, locals);
          else this.#count(charge[argument] as number, locals);
          break;
        case EDIT.settle:
          this.#settle(locals);
          break;
        case EDIT.index:
          this.#leb(argument);
          break;
        case EDIT.inline:
          this.#inline(injection.inlines[argument] as readonly number[], locals.temporary);
          break;
        default:
          this.#out[this.#at++] = 0x10;
          this.#leb(argument);
      }
      if (trace !== undefined && this.#step(trace, position - bodyStart)) return;
    }
    this.#copy(position, end);
  }

  #leb(value: number): void {
    const out = this.#out;
    let at = this.#at;
    let rest = value;
    while (rest > 0x7f) {
      out[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    out[at++] = rest;
    this.#at = at;
  }

  /** Signed LEB128 of a number that is not negative. */
  #constant(value: number): void {
    const out = this.#out;
    let at = this.#at;
    let rest = value;
    out[at++] = 0x41;
    while (rest > 0x3f) {
      out[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    out[at++] = rest;
    this.#at = at;
  }

  #operate(code: number, index: number): void {
    this.#out[this.#at++] = code;
    this.#leb(index);
  }

  #inline(sequence: readonly number[], temporary: number): void {
    this.#reserve(sequence.length * 3);
    for (const byte of sequence) {
      if (byte < 0x100) this.#out[this.#at++] = byte;
      else this.#leb(temporary + (byte - 0x100));
    }
  }

  /** budget -= units; if (budget < 0) refill(). */
  #check(units: number, locals: ExtraLocals): void {
    this.#operate(0x23, this.#in.injection.budget);
    this.#constant(units);
    this.#settleTop(locals);
  }

  /** budget -= owed; if (budget < 0) refill(); owed = 0. */
  #settle(locals: ExtraLocals): void {
    this.#reserve(INSERTION_BYTES);
    this.#operate(0x23, this.#in.injection.budget);
    this.#operate(0x20, locals.owed);
    this.#settleTop(locals);
    this.#zeroOwed(locals);
  }

  #zeroOwed(locals: ExtraLocals): void {
    this.#constant(0);
    this.#operate(0x21, locals.owed);
  }

  /** The budget less what lies on top of it, kept and checked. */
  #settleTop(locals: ExtraLocals): void {
    const { budget, refill } = this.#in.injection;
    this.#out[this.#at++] = 0x6b; // i32.sub
    this.#operate(0x22, locals.temporary);
    this.#operate(0x24, budget);
    this.#operate(0x20, locals.temporary);
    this.#constant(0);
    this.#out[this.#at++] = 0x48; // i32.lt_s
    this.#unlikely();
    this.#operate(0x10, refill);
    this.#out[this.#at++] = 0x0b;
  }

  /** owed = units, at a function's entry. */
  #owe(units: number, locals: ExtraLocals): void {
    this.#constant(units);
    this.#operate(0x21, locals.owed);
  }

  /** owed += units; if (owed > limit) { settle(owed); owed = 0 }. */
  #count(units: number, locals: ExtraLocals): void {
    this.#operate(0x20, locals.owed);
    this.#constant(units);
    this.#out[this.#at++] = 0x6a; // i32.add
    this.#operate(0x22, locals.owed);
    this.#constant(locals.settleCost);
    this.#out[this.#at++] = 0x4b; // i32.gt_u
    this.#unlikely();
    this.#operate(0x20, locals.owed);
    this.#operate(0x10, this.#in.injection.settle);
    this.#zeroOwed(locals);
    this.#out[this.#at++] = 0x0b;
  }

  /** An `if` that is hardly ever taken: the engine keeps registers out of its way. */
  #unlikely(): void {
    this.#hints.push(this.#at - this.#bodyAt);
    this.#out[this.#at++] = 0x04;
    this.#out[this.#at++] = 0x40;
  }
}

const NO_LOCALS: ExtraLocals = { temporary: 0, owed: -1, settleCost: 0 };

function encodeFunctionType(type: { readonly params: readonly EncodedType[]; readonly results: readonly EncodedType[] }): number[] {
  return [0x60, ...leb(type.params.length), ...type.params.flat(), ...leb(type.results.length), ...type.results.flat()];
}
