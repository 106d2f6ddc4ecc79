// The kernel against a model of it: random sequences of calls, of which every answer must be the model's.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import * as fc from "fast-check";

import { type Machine, type Operand, Program, type Result, STYLES, type StepName, openMachine, past, program } from "./machine.ts";

const BASE = 256;

/** Blocks as the interface describes them: where they lie is the kernel's choice, what they do is not. */
class Model {
  readonly #memory = new Map<number, number>();
  readonly #blocks = new Map<number, { length: number; living: boolean }>();
  /** End of what loads and stores reach. */
  #end = BASE;
  #input: number;
  #output: readonly [at: bigint, size: bigint] = [0n, 0n];

  constructor(input: Uint8Array) {
    this.#input = input.length;
    if (input.length > 0) this.#take(BASE, input.length);
    for (const [index, byte] of input.entries()) this.#memory.set(BASE + index, byte);
  }

  #take(at: number, length: number): void {
    this.#blocks.set(at, { length, living: true });
    this.#end = Math.max(this.#end, at + ((length + 7) & -8));
  }

  /** Judges the address of a new block and takes note of it. */
  alloc(length: number, address: bigint): void {
    if (length === 0) {
      assert.equal(address, 0n);
      return;
    }
    const at = Number(address);
    assert.ok(at >= BASE && address < 1n << 31n, `address ${address}`);
    for (const [other, block] of this.#blocks) {
      if (block.living) assert.ok(at + length <= other || other + block.length <= at, `${length} bytes at ${at} overlap ${block.length} at ${other}`);
    }
    this.#take(at, length);
  }

  free(at: bigint): void {
    const block = this.#blocks.get(Number(at));
    if (at >= 1n << 32n || block === undefined || !block.living) return;
    block.living = false;
    if (Number(at) === BASE) this.#input = 0;
  }

  length(at: bigint): bigint {
    const block = at < 1n << 32n ? this.#blocks.get(Number(at)) : undefined;
    return block?.living === true ? BigInt(block.length) : 0n;
  }

  #reaches(at: bigint, bytes: bigint): boolean {
    return at >= BigInt(BASE) && at + bytes <= BigInt(this.#end);
  }

  load(at: bigint, bytes: number): bigint {
    if (!this.#reaches(at, BigInt(bytes))) return 0n;
    let value = 0n;
    for (let index = bytes - 1; index >= 0; index--) value = (value << 8n) | BigInt(this.#memory.get(Number(at) + index) ?? 0);
    return value;
  }

  store(at: bigint, value: bigint, bytes: number): void {
    if (!this.#reaches(at, BigInt(bytes))) return;
    for (let index = 0; index < bytes; index++) this.#memory.set(Number(at) + index, Number((value >> BigInt(8 * index)) & 0xffn));
  }

  inputLength(): bigint {
    return BigInt(this.#input);
  }

  inputOffset(): bigint {
    return this.#input === 0 ? 0n : BigInt(BASE);
  }

  inputLoad(offset: bigint, bytes: number): bigint {
    return offset + BigInt(bytes) <= BigInt(this.#input) ? this.load(BigInt(BASE) + offset, bytes) : 0n;
  }

  setOutput(at: bigint, size: bigint): void {
    this.#output = [at, size];
  }

  memoryBytes(): bigint {
    return BigInt(this.#end - BASE);
  }

  /** The output's bytes, or undefined if the call must fail. */
  output(): Uint8Array | undefined {
    const [at, size] = this.#output;
    if (size === 0n && at < 1n << 32n) return new Uint8Array(0);
    if (!this.#reaches(at, size)) return undefined;
    return Uint8Array.from({ length: Number(size) }, (_unused, index) => this.#memory.get(Number(at) + index) ?? 0);
  }
}

/** An address as a guest would come by it: from a block, next to one, far off, or out of thin air. */
interface Address {
  readonly block: number;
  readonly plus: bigint;
}

interface Action {
  readonly name: StepName;
  readonly address: Address;
  readonly value: bigint;
}

const plus = fc.oneof(
  { weight: 6, arbitrary: fc.constant(0n) },
  { weight: 4, arbitrary: fc.bigInt(-16n, 80n) },
  { weight: 1, arbitrary: fc.constantFrom(1n << 32n, 1n << 63n, -(1n << 32n), (1n << 64n) - 8n) },
  { weight: 1, arbitrary: fc.bigInt(0n, (1n << 64n) - 1n) },
);
const address: fc.Arbitrary<Address> = fc.record({ block: fc.integer({ min: -3, max: 60 }), plus });
const size = fc.oneof(fc.bigInt(0n, 64n), fc.bigInt(0n, 64n), fc.bigInt(0n, 5000n), fc.constantFrom(65_536n, 200_000n));
const wide = fc.bigInt(0n, (1n << 64n) - 1n);
const on = (names: readonly StepName[], value: fc.Arbitrary<bigint> = fc.constant(0n)): fc.Arbitrary<Action> =>
  fc.record({ name: fc.constantFrom(...names), address, value });
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 5, arbitrary: on(["alloc"], size) },
  { weight: 3, arbitrary: on(["free"]) },
  { weight: 2, arbitrary: on(["length", "length_unsafe"]) },
  { weight: 5, arbitrary: on(["store_u8", "store_u64"], wide) },
  { weight: 5, arbitrary: on(["load_u8", "load_u64"]) },
  { weight: 2, arbitrary: on(["input_load_u8", "input_load_u64"], fc.oneof(fc.bigInt(0n, 40n), wide)) },
  { weight: 1, arbitrary: on(["input_length", "input_offset", "memory_bytes"]) },
  { weight: 1, arbitrary: on(["output_set"], fc.oneof(fc.bigInt(0n, 80n), fc.bigInt(0n, 80n), wide)) },
);

/** Turns actions into steps; `operands` says what each step's address will be. */
function compile(actions: readonly Action[], inputLength: number): { made: Program; addresses: Operand[] } {
  const made = new Program();
  const blocks: (Result | bigint)[] = inputLength > 0 ? [BigInt(BASE)] : [];
  const addresses: Operand[] = [];
  for (const {
    name,
    address: { block, plus: by },
    value,
  } of actions) {
    // prettier-ignore
    const from = block < 0 ? undefined : blocks[block % blocks.length];
    const at: Operand = from === undefined ? by : typeof from === "bigint" ? from + by : past(from, by);
    if (name === "alloc") blocks.push(made.do("alloc", value));
    else if (name === "input_load_u8" || name === "input_load_u64") made.do(name, value);
    else made.do(name, at, value);
    addresses.push(at);
  }
  made.do("finish", 0);
  return { made, addresses };
}

function check(machine: Machine, calls: readonly { readonly input: Uint8Array; readonly actions: readonly Action[] }[]): void {
  const compiled = calls.map(({ input, actions }) => compile(actions, input.length));
  const outcomes = machine.run(...compiled.map(({ made }, index) => ({ program: made, input: calls[index]?.input })));
  for (const [index, { results, output, error }] of outcomes.entries()) {
    const { input, actions } = calls[index] as (typeof calls)[number];
    const { addresses } = compiled[index] as (typeof compiled)[number];
    const model = new Model(input);
    assert.equal(results.length, actions.length + 1);
    for (const [step, { name, value }] of actions.entries()) {
      const operand = addresses[step] as Operand;
      const at = BigInt.asUintN(64, typeof operand === "object" ? (results[operand.step] ?? 0n) + operand.plus : BigInt(operand));
      const answer = results[step] as bigint;
      const where = `call ${index}, step ${step}: ${name} at ${at}`;
      switch (name) {
        case "alloc":
          model.alloc(Number(value), answer);
          break;
        case "free":
          model.free(at);
          break;
        case "length":
        case "length_unsafe":
          assert.equal(answer, model.length(at), where);
          break;
        case "load_u8":
          assert.equal(answer, model.load(at, 1), where);
          break;
        case "load_u64":
          assert.equal(answer, model.load(at, 8), where);
          break;
        case "store_u8":
          model.store(at, value, 1);
          break;
        case "store_u64":
          model.store(at, value, 8);
          break;
        case "input_load_u8":
          assert.equal(answer, model.inputLoad(value, 1), where);
          break;
        case "input_load_u64":
          assert.equal(answer, model.inputLoad(value, 8), where);
          break;
        case "input_length":
          assert.equal(answer, model.inputLength(), where);
          break;
        case "input_offset":
          assert.equal(answer, model.inputOffset(), where);
          break;
        case "memory_bytes":
          assert.equal(answer, model.memoryBytes(), where);
          break;
        case "output_set":
          model.setOutput(at, value);
          break;
        default:
          assert.fail(`the model does not know ${name}`);
      }
    }
    const expected = model.output();
    if (expected === undefined) assert.equal(error?.code, "MORTISE_BAD_POINTER", `call ${index}`);
    else assert.deepEqual(output?.bytes(), Uint8Array.from(expected), `call ${index}`);
  }
}

for (const style of STYLES) {
  describe(`The kernel through ${style}`, () => {
    let machine: Machine;
    before(async () => {
      machine = await openMachine({}, style);
    });
    after(() => machine.plugin.close());

    it("answers as the model does, call after call", () => {
      const input = fc.uint8Array({ maxLength: 40 });
      const calls = fc.array(fc.record({ input, actions: fc.array(action, { maxLength: 60 }) }), { minLength: 1, maxLength: 4 });
      fc.assert(
        fc.property(calls, (drawn) => check(machine, drawn)),
        { numRuns: style === "call" ? 3000 : 500 },
      );
      assert.equal(machine.plugin.stats().instances.created, 1, "nothing that a guest did here may cost it its instance");
    });
  });
}

describe("The model", () => {
  it("catches a kernel that forgets a free", async () => {
    await using machine = await openMachine();
    const { results } = machine.run(
      program((p) => {
        p.do("free", p.do("alloc", 8));
        p.do("alloc", 8);
      }),
    )[0] as { results: readonly bigint[] };
    const model = new Model(new Uint8Array(0));
    model.alloc(8, results[0] as bigint);
    assert.throws(() => model.alloc(8, results[2] as bigint), /overlap/);
  });
});
