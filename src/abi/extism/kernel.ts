// The Extism kernel, built into the guest: a second memory that holds input, output and blocks, and the functions of
// "extism:host/env" that work on it. Loads and stores become a few instructions at the place of the call.
//
// Layout of the kernel memory:
//
//   0        control words for the host, see CONTROL
//   64       heads of the free lists, one for each power of two
//   BASE     the heap: first the input, then blocks in order of allocation
//   …end     the block table, growing downwards; entry i (from 1) stands at end - 16 * i:
//            { address, length, capacity, state: -1 while in use, else the next free entry or 0 }
//
// Guests reach [BASE, heap end) alone, so that neither the allocator's state nor the output can be forged. Entries
// are sorted by address because the heap only grows; a call begins with an empty heap.
// Facts: the Extism runtime's kernel (documented in docs/extism.md).

import { BULK_SPLIT_BYTES, COST } from "../../wasm/cost.ts";
import { CodeBuilder, type NumberType } from "../../wasm/code-builder.ts";
import { type Injection, STOP, TEMPORARY } from "../../wasm/injection.ts";
import type { GuestEnvironment } from "../../wasm/instrument.ts";
import type { ParsedModule, TypeDefinition } from "../../wasm/module-reader.ts";
import type { ImportedCall } from "../../wasm/scan.ts";
import { MortiseError } from "../../api/errors.ts";

/** Import module of the built-in functions. */
export const ENV = "extism:host/env";

/** First heap address: the input, if there is one, starts here. */
export const BASE = 256;

/** Byte offsets of the control words; 64-bit words hold what the guest gave, unchecked. */
export const CONTROL = { outputOffset: 0, outputLength: 8, error: 16, errorLength: 24, budget: 28, heapEnd: 32, outputSet: 36 } as const;

const FREE_HEADS = 64;
const FREE_HEADS_END = 192;
const ENTRY = 16;
const IN_USE = -1;
/** Everything lies in one 4 KiB page until a call needs more, so that an idle plugin stays small. */
const FIRST_END = 4096;
/** Largest block; beyond it an address would not fit the 32-bit kernel memory. */
const MAX_BLOCK = 0x7fff_0000;
const PAGE = 65_536;
/** Short ranges are zeroed by a loop, which is faster than the bulk instruction's call. */
const SHORT_ZERO = 512;

/** Parameter and result types of the functions of `extism:host/env` (specs of the Extism ABI). */
export const ENV_TYPES: Readonly<Record<string, readonly [params: readonly NumberType[], results: readonly NumberType[]]>> = {
  alloc: [["i64"], ["i64"]],
  free: [["i64"], []],
  length: [["i64"], ["i64"]],
  length_unsafe: [["i64"], ["i64"]],
  load_u8: [["i64"], ["i32"]],
  load_u64: [["i64"], ["i64"]],
  store_u8: [["i64", "i32"], []],
  store_u64: [["i64", "i64"], []],
  input_offset: [[], ["i64"]],
  input_length: [[], ["i64"]],
  input_load_u8: [["i64"], ["i32"]],
  input_load_u64: [["i64"], ["i64"]],
  output_set: [["i64", "i64"], []],
  output_offset: [[], ["i64"]],
  output_length: [[], ["i64"]],
  error_set: [["i64"], []],
  error_get: [[], ["i64"]],
  memory_bytes: [[], ["i64"]],
  config_get: [["i64"], ["i64"]],
  var_get: [["i64"], ["i64"]],
  var_set: [["i64", "i64"], []],
  http_request: [["i64", "i64"], ["i64"]],
  http_status_code: [[], ["i32"]],
  http_headers: [[], ["i64"]],
  log_trace: [["i64"], []],
  log_debug: [["i64"], []],
  log_info: [["i64"], []],
  log_warn: [["i64"], []],
  log_error: [["i64"], []],
  get_log_level: [[], ["i32"]],
};

const KERNEL_FUNCTIONS: Readonly<Record<string, true>> = {
  alloc: true,
  free: true,
  length: true,
  length_unsafe: true,
  load_u8: true,
  load_u64: true,
  store_u8: true,
  store_u64: true,
  input_offset: true,
  input_length: true,
  input_load_u8: true,
  input_load_u64: true,
  output_set: true,
  output_offset: true,
  output_length: true,
  error_set: true,
  error_get: true,
  memory_bytes: true,
};

/** Exports that a call may name, by function index: no parameters, and nothing or an i32 as result. */
export function isCallable(module: ParsedModule, functionIndex: number): boolean {
  const type = module.types[module.functionTypes[functionIndex] as number];
  if (type?.kind !== "function" || type.params.length > 0 || type.results.length > 1) return false;
  const [result] = type.results;
  return result === undefined || result.code === 0x7f;
}

/**
 * The environment that the rewriter builds into an Extism guest.
 *
 * @param linked names of modules whose functions are called as they are; they reach the kernel through hidden exports
 */
export function extismKernel(linked: ReadonlySet<string>): GuestEnvironment {
  return {
    install(injection, module) {
      const kernel = new Kernel(injection, module);
      kernel.defineEntries();
      if (linked.size > 0) kernel.share();
      return (item) => (item.module === ENV ? kernel.standIn(item.name) : linked.has(item.module) ? direct(item.index) : undefined);
    },
  };
}

/** The environment of a module that is linked to the one with the kernel. */
export function linkedEnvironment(linked: ReadonlySet<string>): GuestEnvironment {
  return {
    install: () => (item) => {
      if (item.module === ENV && isKernelFunction(item.name)) return { target: item.index, cost: 24, leaf: true };
      return linked.has(item.module) ? direct(item.index) : undefined;
    },
  };
}

/** A function of another instrumented module: it charges for itself, and nothing of the host lies between. */
function direct(index: number): ImportedCall {
  return { target: index, cost: 4 };
}

/** True for a function of the environment that works inside the guest. */
export function isKernelFunction(name: string): boolean {
  return Object.hasOwn(KERNEL_FUNCTIONS, name);
}

class Kernel {
  readonly #injection: Injection;
  readonly #module: ParsedModule;
  readonly #memory: number;
  /** Bytes of heap in use (i64), and the same less 7: an address offset below it has eight bytes. */
  readonly #limit1: number;
  readonly #limit8: number;
  readonly #input1: number;
  readonly #input8: number;
  readonly #count: number;
  readonly #end: number;
  readonly #freed: number;
  /** Bytes of earlier calls may lie in [clean, dirty); dirty is 0 if there are none. Blocks are cleared as they are made. */
  readonly #clean: number;
  readonly #dirty: number;
  /** 1 while JavaScript allocates: it gets 0 where a guest would be stopped. */
  readonly #hostSide: number;
  readonly #find: number;
  readonly #reserve: number;
  readonly #functions: Record<string, ImportedCall>;
  readonly #zero: number;

  constructor(injection: Injection, module: ParsedModule) {
    this.#injection = injection;
    this.#module = module;
    this.#memory = injection.memory(1, 65_536);
    injection.hide("memory", 2, this.#memory);
    this.#limit1 = injection.global("i64", 0);
    this.#limit8 = injection.global("i64", 0);
    this.#input1 = injection.global("i64", 0);
    this.#input8 = injection.global("i64", 0);
    this.#count = injection.global("i32", 0);
    this.#end = injection.global("i32", FIRST_END);
    this.#freed = injection.global("i32", 0);
    this.#clean = injection.global("i32", 0);
    this.#dirty = injection.global("i32", 0);
    this.#hostSide = injection.global("i32", 0);
    this.#find = this.#defineFind();
    this.#reserve = this.#defineReserve();
    this.#zero = this.#defineZero();
    this.#functions = this.#defineFunctions();
    this.#defineHostSide();
  }

  /** Exports every function under a hidden name, for modules that are linked to this one. */
  share(): void {
    for (const [name, { target }] of Object.entries(this.#functions)) this.#injection.hide(`enter:env:${name}`, 0, target);
  }

  /** The stand-in for a function of `extism:host/env`, or undefined for one that JavaScript provides. */
  standIn(name: string): ImportedCall | undefined {
    return Object.hasOwn(this.#functions, name) ? this.#functions[name] : undefined;
  }

  /** Address of entry `index` (on the stack) of the block table. */
  #entryAddress(code: CodeBuilder, index: number): CodeBuilder {
    return code.globalGet(this.#end).get(index).i32(ENTRY).op("i32.mul", "i32.sub");
  }

  /** find(address i32) -> entry address, or 0 if no block starts there. */
  #defineFind(): number {
    const [ADDRESS, LOW, HIGH, MIDDLE, ENTRY_AT, FOUND] = [0, 1, 2, 3, 4, 5];
    return this.#injection.define(["i32"], ["i32"], ["i32", "i32", "i32", "i32", "i32"], (code) => {
      // The block that was allocated last is asked for most.
      code.globalGet(this.#count).tee(HIGH).op("i32.eqz").if().i32(0).op("return", "end");
      this.#entryAddress(code, HIGH).tee(ENTRY_AT).access("i32.load", this.#memory).get(ADDRESS).op("i32.eq").if().get(ENTRY_AT).op("return", "end");
      code.i32(1).set(LOW);
      code.block().loop().get(LOW).get(HIGH).op("i32.gt_u").brIf(1);
      code.get(LOW).get(HIGH).op("i32.add").i32(1).op("i32.shr_u").set(MIDDLE);
      this.#entryAddress(code, MIDDLE).tee(ENTRY_AT).access("i32.load", this.#memory).tee(FOUND);
      code.get(ADDRESS).op("i32.eq").if().get(ENTRY_AT).op("return", "end");
      code.get(FOUND).get(ADDRESS).op("i32.lt_u").if().get(MIDDLE).i32(1).op("i32.add").set(LOW);
      code.op("else").get(MIDDLE).i32(1).op("i32.sub").set(HIGH).op("end").br(0).op("end", "end").i32(0);
    });
  }

  /**
   * reserve(end i64) -> 1 if the area now ends at or behind `end`, 0 if the engine has no memory left. Moves the block
   * table to the new end. Doubles, so that moving costs a constant for each block; the pages come out of the memory
   * limit, and a guest that passes it is stopped.
   */
  #defineReserve(): number {
    const { pagesLeft, budget } = this.#injection;
    const memory = this.#memory;
    const [NEED, PAGES, NEW_END, OLD_START, NEW_START, BYTES, DOUBLE, EXACT] = [0, 1, 2, 3, 4, 5, 6, 7];
    return this.#injection.define(["i64"], ["i32"], ["i32", "i32", "i32", "i32", "i32", "i64", "i64"], (code) => {
      const needPages = (): void => {
        // PAGES = max(0, ceil((NEED - size) / PAGE))
        code
          .get(NEED)
          .i64(PAGE - 1)
          .op("i64.add")
          .i64(16)
          .op("i64.shr_u", "i32.wrap_i64")
          .tee(PAGES);
        code.memorySize(memory).op("i32.gt_u").if("i32").get(PAGES).memorySize(memory).op("i32.sub", "else").i32(0).op("end").set(PAGES);
      };
      code.get(NEED).i64(MAX_BLOCK).op("i64.gt_u").if().i32(0).op("return", "end");
      // First choice: twice the present end, if the pages for it are to be had.
      code.get(NEED).globalGet(this.#end).op("i64.extend_i32_u").i64(1).op("i64.shl").tee(DOUBLE);
      code.get(NEED).get(DOUBLE).op("i64.gt_u", "select").set(DOUBLE);
      // The table stands at the end, so that the end is the need rounded up to a page, or to 4 KiB in the first page.
      code
        .get(DOUBLE)
        .i64(FIRST_END - 1)
        .op("i64.add")
        .i64(-FIRST_END)
        .op("i64.and")
        .set(DOUBLE);
      code.get(NEED).set(EXACT);
      code.get(DOUBLE).set(NEED);
      needPages();
      code.get(PAGES).globalGet(pagesLeft).op("i32.gt_u").get(NEED).i64(MAX_BLOCK).op("i64.gt_u", "i32.or").if();
      code.get(EXACT).i64(15).op("i64.add").i64(-16).op("i64.and").set(NEED);
      needPages();
      this.#injection.need(
        code,
        () => code.get(PAGES),
        pagesLeft,
        "pages",
        () => {
          code.globalGet(this.#hostSide).if().i32(0).op("return", "end");
          this.#injection.stop(code, STOP.memory);
        },
      );
      code.op("end");
      code.get(PAGES).if();
      code.get(PAGES).memoryGrow(memory).i32(-1).op("i32.eq").if().i32(0).op("return", "end");
      code.globalGet(pagesLeft).get(PAGES).op("i32.sub").globalSet(pagesLeft);
      // Charged without a check: the host may be the caller, and the guest's next check sees it.
      code.globalGet(budget).get(PAGES).i32(COST.growPage).op("i32.mul", "i32.sub").globalSet(budget).op("end");
      code.get(NEED).op("i32.wrap_i64").set(NEW_END);
      code.globalGet(this.#count).i32(ENTRY).op("i32.mul").set(BYTES);
      code.globalGet(this.#end).get(BYTES).op("i32.sub").set(OLD_START);
      code.get(NEW_END).get(BYTES).op("i32.sub").set(NEW_START);
      code.get(BYTES).if();
      code.get(NEW_START).get(OLD_START).get(BYTES).memoryCopy(memory, memory);
      // What the table left behind becomes heap: zero it.
      code.get(OLD_START).i32(0);
      code.globalGet(this.#end).get(NEW_START).globalGet(this.#end).get(NEW_START).op("i32.lt_u", "select").get(OLD_START).op("i32.sub");
      code.memoryFill(memory);
      code.globalGet(budget).get(BYTES).i32(4).op("i32.shr_u", "i32.sub").globalSet(budget).op("end");
      code.get(NEW_END).globalSet(this.#end).i32(1);
    });
  }

  /** zero(from i32, to i32): clears [from, to). What is long is split and charged: its pages may not be there yet. */
  #defineZero(): number {
    const [FROM, TO, UNITS] = [0, 1, 2];
    return this.#injection.define(["i32", "i32"], [], ["i32"], (code) => {
      code.get(FROM).get(TO).op("i32.ge_u").if().op("return", "end");
      code.block().loop().get(TO).get(FROM).op("i32.sub").i32(BULK_SPLIT_BYTES).op("i32.le_u").brIf(1);
      code.get(FROM).i32(0).i32(BULK_SPLIT_BYTES).memoryFill(this.#memory);
      code.get(FROM).i32(BULK_SPLIT_BYTES).op("i32.add").set(FROM);
      this.#injection.chargeTop(code.i32(BULK_SPLIT_BYTES / COST.bulkBytesPerUnit), UNITS);
      code.br(0).op("end", "end");
      code.get(TO).get(FROM).op("i32.sub").i32(SHORT_ZERO).op("i32.gt_u").if();
      code.get(FROM).i32(0).get(TO).get(FROM).op("i32.sub").memoryFill(this.#memory).op("return", "end");
      code.block().loop().get(TO).get(FROM).op("i32.sub").i32(8).op("i32.lt_u").brIf(1);
      code.get(FROM).i64(0).access("i64.store", this.#memory);
      code.get(FROM).i32(8).op("i32.add").set(FROM).br(0).op("end", "end");
      code.block().loop().get(FROM).get(TO).op("i32.ge_u").brIf(1);
      code.get(FROM).i32(0).access("i32.store8", this.#memory);
      code.get(FROM).i32(1).op("i32.add").set(FROM).br(0).op("end", "end");
    });
  }

  /** The larger of a local and a global. */
  #larger(code: CodeBuilder, local: number, global: number): CodeBuilder {
    return code.get(local).globalGet(global).get(local).globalGet(global).op("i32.gt_u", "select");
  }

  #setLimits(code: CodeBuilder, heapEnd: (code: CodeBuilder) => void): void {
    heapEnd(code);
    code.i32(BASE).op("i32.sub", "i64.extend_i32_u").globalSet(this.#limit1);
    code.globalGet(this.#limit1).i64(7).op("i64.sub").globalSet(this.#limit8);
  }

  #defineAlloc(): number {
    const [SIZE, LENGTH, ADDRESS, CAPACITY, ENTRY_AT, LIST] = [0, 1, 2, 3, 4, 5];
    return this.#injection.define(["i64"], ["i64"], ["i32", "i32", "i32", "i32", "i32"], (code) => {
      code.get(SIZE).op("i64.eqz").get(SIZE).i64(MAX_BLOCK).op("i64.gt_u", "i32.or").if().i64(0).op("return", "end");
      code.get(SIZE).op("i32.wrap_i64").tee(LENGTH).i32(7).op("i32.add").i32(-8).op("i32.and").set(CAPACITY);
      code.globalGet(this.#freed).if();
      // A freed block of the size's own class if it is large enough, else of the next class, where all are.
      for (const next of [0, 4]) {
        this.#freeHead(code, CAPACITY).i32(next).op("i32.add").tee(LIST);
        code.access("i32.load", this.#memory).tee(ENTRY_AT).if();
        this.#entryAddress(code, ENTRY_AT).tee(ENTRY_AT).access("i32.load", this.#memory, 8).get(CAPACITY).op("i32.ge_u").if();
        code.get(LIST).get(ENTRY_AT).access("i32.load", this.#memory, 12).access("i32.store", this.#memory);
        code.get(ENTRY_AT).get(LENGTH).access("i32.store", this.#memory, 4);
        code.get(ENTRY_AT).i32(IN_USE).access("i32.store", this.#memory, 12);
        code.get(ENTRY_AT).access("i32.load", this.#memory).op("i64.extend_i32_u", "return", "end", "end");
      }
      code.op("end");
      code.globalGet(this.#limit1).op("i32.wrap_i64").i32(BASE).op("i32.add").set(ADDRESS);
      this.#room(code, ADDRESS, CAPACITY, (inner) => inner.i64(0).op("return"));
      this.#append(code, ENTRY_AT, ADDRESS, LENGTH, CAPACITY);
      code.get(ADDRESS).op("i64.extend_i32_u");
    });
  }

  /** Address of the free list for a capacity. */
  #freeHead(code: CodeBuilder, capacity: number): CodeBuilder {
    return code
      .i32(FREE_HEADS + 31 * 4)
      .get(capacity)
      .op("i32.clz")
      .i32(2)
      .op("i32.shl", "i32.sub");
  }

  /** Makes sure that a block of CAPACITY at ADDRESS and its entry fit below the end. */
  #room(code: CodeBuilder, address: number, capacity: number, fail: (code: CodeBuilder) => void): void {
    const need = (): CodeBuilder =>
      code
        .get(address)
        .op("i64.extend_i32_u")
        .get(capacity)
        .op("i64.extend_i32_u", "i64.add")
        .globalGet(this.#count)
        .i32(1)
        .op("i32.add")
        .i32(ENTRY)
        .op("i32.mul", "i64.extend_i32_u", "i64.add");
    need().globalGet(this.#end).op("i64.extend_i32_u", "i64.gt_u").if();
    need().call(this.#reserve).op("i32.eqz").if();
    fail(code);
    code.op("end", "end");
  }

  /** Adds an entry for a block at the heap's end, and moves that end. */
  #append(code: CodeBuilder, entry: number, address: number, length: number, capacity: number): void {
    code.globalGet(this.#count).i32(1).op("i32.add").globalSet(this.#count);
    code.globalGet(this.#end).globalGet(this.#count).i32(ENTRY).op("i32.mul", "i32.sub").set(entry);
    code.get(entry).get(address).access("i32.store", this.#memory, 0);
    code.get(entry).get(length).access("i32.store", this.#memory, 4);
    code.get(entry).get(capacity).access("i32.store", this.#memory, 8);
    code.get(entry).i32(IN_USE).access("i32.store", this.#memory, 12);
    // Before clearing, in which the guest may be suspended: whoever allocates meanwhile must not get the same place.
    this.#setLimits(code, (inner) => inner.get(address).get(capacity).op("i32.add"));
    code.globalGet(this.#dirty).if();
    this.#larger(code, address, this.#clean);
    code.get(address).get(capacity).op("i32.add").globalGet(this.#dirty);
    code.get(address).get(capacity).op("i32.add").globalGet(this.#dirty).op("i32.lt_u", "select").call(this.#zero).op("end");
  }

  #defineFree(): number {
    const [HANDLE, ENTRY_AT, LIST] = [0, 1, 2];
    return this.#injection.define(["i64"], [], ["i32", "i32"], (code) => {
      code.get(HANDLE).i64(MAX_BLOCK).op("i64.gt_u").if().op("return", "end");
      code.get(HANDLE).op("i32.wrap_i64").call(this.#find).tee(ENTRY_AT).op("i32.eqz").if().op("return", "end");
      code.get(ENTRY_AT).access("i32.load", this.#memory, 12).i32(IN_USE).op("i32.ne").if().op("return", "end");
      // The input block: its length becomes 0 for the input functions as well.
      code.get(HANDLE).i64(BASE).op("i64.eq").if().i64(0).globalSet(this.#input1).i64(0).globalSet(this.#input8).op("end");
      code.i32(1).globalSet(this.#freed);
      code
        .i32(FREE_HEADS + 31 * 4)
        .get(ENTRY_AT)
        .access("i32.load", this.#memory, 8)
        .op("i32.clz")
        .i32(2)
        .op("i32.shl", "i32.sub")
        .set(LIST);
      code.get(ENTRY_AT).get(LIST).access("i32.load", this.#memory).access("i32.store", this.#memory, 12);
      code.get(ENTRY_AT).i32(0).access("i32.store", this.#memory, 4);
      code.get(LIST).globalGet(this.#end).get(ENTRY_AT).op("i32.sub").i32(4).op("i32.shr_u").access("i32.store", this.#memory);
    });
  }

  #defineLength(): number {
    const [HANDLE, ENTRY_AT] = [0, 1];
    return this.#injection.define(["i64"], ["i64"], ["i32"], (code) => {
      code.get(HANDLE).i64(MAX_BLOCK).op("i64.gt_u").if().i64(0).op("return", "end");
      // A freed block's entry has length 0.
      code.get(HANDLE).op("i32.wrap_i64").call(this.#find).tee(ENTRY_AT).if("i64");
      code.get(ENTRY_AT).access("i32.load", this.#memory, 4).op("i64.extend_i32_u", "else").i64(0).op("end");
    });
  }

  #defineFunctions(): Record<string, ImportedCall> {
    const memory = this.#memory;
    const { i32, first64, second64 } = TEMPORARY;
    const alloc = this.#defineAlloc();
    const length = this.#defineLength();
    const simple = (name: string, cost: number, build: (code: CodeBuilder) => void): ImportedCall => {
      const [params, results] = ENV_TYPES[name] as readonly [readonly NumberType[], readonly NumberType[]];
      return { target: this.#injection.define(params, results, [], build), cost, leaf: true };
    };
    const inlined = (name: string, sequence: CodeBuilder): ImportedCall => {
      const [params, results] = ENV_TYPES[name] as readonly [readonly NumberType[], readonly NumberType[]];
      // The same sequence as a function, for references and tail calls.
      const target = this.#injection.define(params, results, ["i32", "i64", "i64"], (code) => {
        for (const [index] of params.entries()) code.get(index);
        code.raw(...sequence.bytes.map((byte) => (byte < 0x100 ? byte : params.length + byte - 0x100)));
      });
      return { target, inline: this.#injection.inline(sequence.bytes), cost: 4, leaf: true };
    };

    /** The offset from BASE, if it is below the limit; an address below BASE wraps around and is not. */
    const checked = (code: CodeBuilder, limit: number, relative: boolean, result?: NumberType): CodeBuilder => {
      if (relative) code.i64(BASE).op("i64.sub");
      return tee(code, first64).globalGet(limit).op("i64.lt_u").if(result);
    };
    const load = (limit: number, relative: boolean, wide: boolean): CodeBuilder => {
      const code = new CodeBuilder();
      checked(code, limit, relative, wide ? "i64" : "i32");
      get(code, first64)
        .op("i32.wrap_i64")
        .access(wide ? "i64.load" : "i32.load8_u", memory, BASE)
        .op("else");
      return (wide ? code.i64(0) : code.i32(0)).op("end");
    };
    const store = (limit: number, wide: boolean): CodeBuilder => {
      const code = new CodeBuilder();
      const value = wide ? second64 : i32;
      set(code, value);
      checked(code, limit, true);
      get(code, first64).op("i32.wrap_i64");
      return get(code, value)
        .access(wide ? "i64.store" : "i32.store8", memory, BASE)
        .op("end");
    };
    return {
      alloc: { target: alloc, cost: 24, leaf: true },
      free: { target: this.#defineFree(), cost: 24, leaf: true },
      length: { target: length, cost: 16, leaf: true },
      length_unsafe: { target: length, cost: 16, leaf: true },
      load_u8: inlined("load_u8", load(this.#limit1, true, false)),
      load_u64: inlined("load_u64", load(this.#limit8, true, true)),
      store_u8: inlined("store_u8", store(this.#limit1, false)),
      store_u64: inlined("store_u64", store(this.#limit8, true)),
      input_load_u8: inlined("input_load_u8", load(this.#input1, false, false)),
      input_load_u64: inlined("input_load_u64", load(this.#input8, false, true)),
      input_length: simple("input_length", 2, (code) => code.globalGet(this.#input1)),
      input_offset: simple("input_offset", 4, (code) => code.i64(BASE).i64(0).globalGet(this.#input1).op("i64.eqz", "i32.eqz", "select")),
      output_set: simple("output_set", 4, (code) =>
        code
          .i32(0)
          .get(0)
          .access("i64.store", memory, CONTROL.outputOffset)
          .i32(0)
          .get(1)
          .access("i64.store", memory, CONTROL.outputLength)
          .i32(0)
          .i32(1)
          .access("i32.store", memory, CONTROL.outputSet),
      ),
      output_offset: simple("output_offset", 2, (code) => code.i32(0).access("i64.load", memory, CONTROL.outputOffset)),
      output_length: simple("output_length", 2, (code) => code.i32(0).access("i64.load", memory, CONTROL.outputLength)),
      error_set: simple("error_set", 4, (code) => code.i32(0).get(0).access("i64.store", memory, CONTROL.error)),
      error_get: simple("error_get", 2, (code) => code.i32(0).access("i64.load", memory, CONTROL.error)),
      memory_bytes: simple("memory_bytes", 2, (code) => code.globalGet(this.#limit1)),
    };
  }

  /** The allocator for JavaScript: 32-bit numbers, which cross cheaply where 64-bit ones become BigInts. */
  #defineHostSide(): void {
    const { alloc, free, length } = this.#functions as Record<"alloc" | "free" | "length", ImportedCall>;
    const hide = (name: string, index: number): void => this.#injection.hide(`enter:${name}`, 0, index);
    hide(
      "alloc",
      this.#injection.define(["i32"], ["i32"], [], (code) =>
        code.i32(1).globalSet(this.#hostSide).get(0).op("i64.extend_i32_u").call(alloc.target).op("i32.wrap_i64").i32(0).globalSet(this.#hostSide),
      ),
    );
    hide(
      "free",
      this.#injection.define(["i32"], [], [], (code) => code.get(0).op("i64.extend_i32_u").call(free.target)),
    );
    hide(
      "length",
      this.#injection.define(["i32"], ["i32"], [], (code) => code.get(0).op("i64.extend_i32_u").call(length.target).op("i32.wrap_i64")),
    );
  }

  /** begin(inputLength i32): forgets the last call and makes the bytes at BASE the input. */
  #defineBegin(): number {
    const memory = this.#memory;
    const [LENGTH, START, ENTRY_AT, CAPACITY, ADDRESS] = [0, 1, 2, 3, 4];
    return this.#injection.define(["i32"], [], ["i32", "i32", "i32", "i32"], (code) => {
      code.get(LENGTH).i32(BASE).op("i32.add").set(START);
      // The last call's heap and table, as far as the new input does not lie over them already. Of a long heap the
      // first part is enough now: what is behind it is cleared when a block is made of it, by the call that makes it.
      code.globalGet(this.#limit1).op("i32.wrap_i64").i32(BASE).op("i32.add").set(ADDRESS);
      this.#larger(code, ADDRESS, this.#dirty).globalSet(this.#dirty);
      code.get(START).i32(BULK_SPLIT_BYTES).op("i32.add").globalGet(this.#dirty);
      code.get(START).i32(BULK_SPLIT_BYTES).op("i32.add").globalGet(this.#dirty).op("i32.lt_u", "select").globalSet(this.#clean);
      code.get(START).globalGet(this.#clean).call(this.#zero);
      code.globalGet(this.#clean).globalGet(this.#dirty).op("i32.eq").if().i32(0).globalSet(this.#dirty).op("end");
      code.globalGet(this.#end).globalGet(this.#count).i32(ENTRY).op("i32.mul", "i32.sub").tee(ADDRESS);
      code.get(START).get(ADDRESS).get(START).op("i32.gt_u", "select").globalGet(this.#end).call(this.#zero);
      code.i32(0).globalSet(this.#count);
      code.globalGet(this.#freed).if().i32(0).globalSet(this.#freed).i32(FREE_HEADS).i32(FREE_HEADS_END).call(this.#zero).op("end");
      for (const word of [CONTROL.outputOffset, CONTROL.outputLength, CONTROL.error, CONTROL.errorLength]) {
        if (word === CONTROL.errorLength) code.i32(0).i32(0).access("i32.store", memory, word);
        else code.i32(0).i64(0).access("i64.store", memory, word);
      }
      code.i32(0).i32(0).access("i32.store", memory, CONTROL.outputSet);
      code.i64(0).globalSet(this.#limit1).i64(0).globalSet(this.#limit8);
      code.get(LENGTH).op("i64.extend_i32_u").globalSet(this.#input1);
      code.i64(0).globalSet(this.#input8);
      code.get(LENGTH).op("i32.eqz").if().op("return", "end");
      code.get(LENGTH).i32(7).op("i32.gt_u").if().get(LENGTH).i32(7).op("i32.sub", "i64.extend_i32_u").globalSet(this.#input8).op("end");
      code.get(LENGTH).i32(7).op("i32.add").i32(-8).op("i32.and").set(CAPACITY);
      code.i32(BASE).set(ADDRESS);
      this.#room(code, ADDRESS, CAPACITY, (inner) => this.#injection.stop(inner, STOP.memory));
      this.#append(code, ENTRY_AT, ADDRESS, LENGTH, CAPACITY);
    });
  }

  /** finish(): leaves what the host reads in the control words. */
  #defineFinish(): number {
    const memory = this.#memory;
    const length = (this.#functions["length"] as ImportedCall).target;
    return this.#injection.define([], [], [], (code) => {
      // The guest caught what JavaScript threw when it ran out of stack: its state is not to be trusted any more.
      code.globalGet(this.#injection.inHost).if();
      this.#injection.stop(code, STOP.hostUnreachable).op("end");
      code.i32(0).globalGet(this.#limit1).op("i32.wrap_i64").i32(BASE).op("i32.add").access("i32.store", memory, CONTROL.heapEnd);
      code.i32(0).globalGet(this.#injection.budget).access("i32.store", memory, CONTROL.budget);
      code.i32(0).access("i64.load", memory, CONTROL.error).op("i64.eqz", "i32.eqz").if();
      code.i32(0).i32(0).access("i64.load", memory, CONTROL.error).call(length).op("i32.wrap_i64").access("i32.store", memory, CONTROL.errorLength);
      code.op("end");
    });
  }

  /** enter(inputLength, budget) -> return code, for every function that a call may name: one crossing a call. */
  defineEntries(): void {
    const begin = this.#defineBegin();
    const finish = this.#defineFinish();
    this.#injection.hide("enter:finish", 0, finish);
    for (const index of callableFunctions(this.#module)) {
      const type = this.#module.types[this.#module.functionTypes[index] as number];
      const returns = type?.kind === "function" && type.results.length === 1;
      const entry = this.#injection.define(["i32", "i32"], ["i32"], [], (code) => {
        code.get(1).globalSet(this.#injection.budget).get(0).call(begin).call(index);
        if (!returns) code.i32(0);
        code.call(finish);
      });
      this.#injection.hide(`enter:call:${index}`, 0, entry);
    }
  }
}

/** Functions that exports name and a call may enter. An import that is exported again has no entry of its own. */
function callableFunctions(module: ParsedModule): Set<number> {
  const found = new Set<number>();
  for (const { kind, index } of module.exports)
    if (kind === "function" && index >= module.importedFunctions && isCallable(module, index)) found.add(index);
  if (found.size > MAX_CALLABLE) {
    throw new MortiseError("MORTISE_WASM_TOO_LARGE", {
      source: module.source,
      what: "the number of callable exports",
      size: found.size,
      limit: MAX_CALLABLE,
    });
  }
  return found;
}

/** Functions that a plugin may offer; each gets an entry function. */
const MAX_CALLABLE = 4096;

/** The type that a function of `extism:host/env` must be imported with. */
export function environmentType(name: string): TypeDefinition | undefined {
  if (!Object.hasOwn(ENV_TYPES, name)) return undefined;
  const [params, results] = ENV_TYPES[name] as readonly [readonly NumberType[], readonly NumberType[]];
  return { kind: "function", params: params.map(toValueType), results: results.map(toValueType) };
}

// Accesses to a temporary of the surrounding function, whose index the emitter fills in.
const tee = (code: CodeBuilder, temporary: number): CodeBuilder => code.raw(0x22, temporary);
const get = (code: CodeBuilder, temporary: number): CodeBuilder => code.raw(0x20, temporary);
const set = (code: CodeBuilder, temporary: number): CodeBuilder => code.raw(0x21, temporary);

function toValueType(type: NumberType): { code: number } {
  return { code: { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c }[type] };
}
