// The functions of "extism:host/env" as guests see them, to the byte. Facts: the Extism runtime's kernel.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import * as fc from "fast-check";

import { type Logger, type MortiseError, type PluginOptions, loadPlugin } from "../../src/index.ts";
import { assemble } from "../wasm/corpus.ts";
import { ENVIRONMENT, type EnvironmentName, FILL, type Machine, type Operand, type Program, STYLES, openMachine, past, program } from "./machine.ts";

/** First address of the heap: the input, or the first block of a call without one. */
const BASE = 256n;
const roundUp = (size: number): number => (size + 7) & -8;
const hasCode =
  (code: string, details: Record<string, unknown> = {}) =>
  (error: MortiseError | undefined): void => {
    assert.equal(error?.code, code, error?.message ?? "it succeeded");
    for (const [name, value] of Object.entries(details)) assert.deepEqual(error?.details[name], value, `details.${name}`);
  };

for (const style of STYLES) {
  describe(`extism:host/env through ${style}`, () => {
    let machine: Machine;
    before(async () => {
      machine = await openMachine({ limits: { memoryBytes: 64 << 20, outputBytes: 32 << 20 }, config: { colour: "a dark, oily brown" } }, style);
    });
    after(() => machine.plugin.close());

    it("alloc gives 0 for nothing and for what no memory could hold", () => {
      const sizes: Operand[] = [0, 1n << 31n, (1n << 32n) + 8n, 1n << 40n, 1n << 63n, (1n << 64n) - 8n, (1n << 64n) - 1n];
      const { results, error } = machine.call((p) => sizes.forEach((size) => p.do("alloc", size)));
      assert.equal(error, undefined);
      assert.deepEqual(
        results.slice(0, sizes.length),
        sizes.map(() => 0n),
      );
    });

    it("alloc beyond limits.memoryBytes stops the guest", () => {
      hasCode("MORTISE_MEMORY_LIMIT", { limit: 64 << 20 })(machine.call((p) => p.do("alloc", 65 << 20)).error);
    });

    it("alloc gives blocks that do not overlap and whose lengths are what was asked for", () => {
      const sizes = [1, 2, 7, 8, 9, 15, 16, 100, 4095, 4096, 4097, 65_536, 100_000, 1];
      const outcome = machine.call((p) => {
        const blocks = sizes.map((size) => p.do("alloc", size));
        for (const block of blocks) p.do("length", block);
        for (const block of blocks) p.do("length_unsafe", block);
      });
      const addresses = outcome.results.slice(0, sizes.length);
      const expected = sizes.map(BigInt);
      assert.deepEqual(outcome.results.slice(sizes.length, sizes.length * 3), [...expected, ...expected]);
      let end = BASE;
      for (const [index, address] of addresses.entries()) {
        assert.ok(address >= end, `block ${index} at ${address} begins before ${end}`);
        end = address + (expected[index] ?? 0n);
      }
    });

    it("length and length_unsafe know the starts of living blocks only", () => {
      const outcome = machine.call((p) => {
        const first = p.do("alloc", 24);
        const second = p.do("alloc", 8);
        const freed = p.do("alloc", 40);
        p.do("free", freed);
        for (const name of ["length", "length_unsafe"] as const) {
          for (const at of [first, past(first, 1), past(first, 8), past(first, 23), past(first, -8), second, past(second, 7), past(second, 8)])
            p.do(name, at);
          for (const at of [freed, past(freed, 8), 0, 1, 255, 1n << 63n, (1n << 64n) - 1n]) p.do(name, at);
          p.do(name, past(first, 1n << 32n));
          p.do(name, past(first, 1n << 63n));
        }
      });
      const expected = [24n, 0n, 0n, 0n, 0n, 8n, 0n, 0n, 0n, 0n, 0n, 0n, 0n, 0n, 0n, 0n, 0n];
      assert.deepEqual(outcome.results.slice(4, -1), [...expected, ...expected]);
    });

    it("free makes room for later blocks and ignores what is no block", () => {
      const outcome = machine.call((p) => {
        const first = p.do("alloc", 64);
        p.do("alloc", 64);
        for (const at of [0, 1, past(first, 8), past(first, 1n << 32n), past(first, 1n << 63n), (1n << 64n) - 1n]) p.do("free", at);
        p.do("length", first);
        p.do("free", first);
        p.do("free", first);
        p.do("length", first);
        p.do("alloc", 60);
        p.do("length", first);
        p.do("alloc", 64);
      });
      const at = outcome.results;
      assert.deepEqual([at[8], at[11], at[12], at[13]], [64n, 0n, at[0], 60n]);
      assert.ok(![at[0], at[1]].includes(at[14]), "a block freed twice was given out twice");
    });

    it("free of the input makes its length 0", () => {
      const outcome = machine.call((p) => {
        const input = p.do("input_offset");
        p.do("input_length");
        p.do("length", input);
        p.do("free", input);
        for (const name of ["input_offset", "input_length"] as const) p.do(name);
        p.do("length", input);
        p.do("input_load_u8", 0);
        p.do("input_load_u64", 0);
        p.do("alloc", 8);
        p.do("input_length");
      }, "twelve bytes");
      assert.deepEqual(outcome.results.slice(1, 9), [12n, 12n, 0n, 0n, 0n, 0n, 0n, 0n]);
      assert.equal(outcome.results[10], 0n);
    });

    it("load and store keep bytes in little-endian order at every alignment", () => {
      const outcome = machine.call((p) => {
        const block = p.do("alloc", 32);
        for (let shift = 0; shift < 8; shift++) {
          p.do("store_u64", past(block, shift), 0x0123456789abcdefn);
          p.do("load_u64", past(block, shift));
          for (let byte = 0; byte < 8; byte++) p.do("load_u8", past(block, shift + byte));
        }
        p.do("store_u8", past(block, 31), 0x1ff);
        p.do("load_u8", past(block, 31));
        p.do("load_u64", past(block, 24));
        p.do("output_set", block, 32);
      });
      const bytes = [0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01].map(BigInt);
      for (let shift = 0; shift < 8; shift++) {
        assert.deepEqual(outcome.results.slice(2 + shift * 10, 11 + shift * 10), [0x0123456789abcdefn, ...bytes], `shift ${shift}`);
      }
      assert.deepEqual(outcome.results.slice(82, 84), [0xffn, 0xff00000000000000n]);
      const output = [...Array<number>(7).fill(0xef), 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01, ...Array<number>(16).fill(0), 0xff];
      assert.deepEqual([...(outcome.output?.bytes() ?? [])], output);
    });

    // The heap of these calls is one block of 24 bytes at BASE, filled.
    const END = BASE + 24n;
    const outside: readonly bigint[] = [
      0n,
      1n,
      8n,
      64n,
      191n,
      BASE - 9n,
      BASE - 8n,
      END,
      END + 1n,
      END + 8n,
      4000n,
      4088n,
      4096n,
      65_528n,
      65_536n,
      1n << 20n,
      0x7fff_fff8n,
      0x8000_0000n,
      0xffff_fff8n,
      0xffff_ffffn,
      1n << 32n,
      (1n << 32n) + BASE,
      (1n << 32n) + BASE + 8n,
      (1n << 33n) + BASE,
      (1n << 48n) + BASE,
      (1n << 62n) + BASE,
      1n << 63n,
      (1n << 63n) + BASE,
      (1n << 64n) - 256n,
      (1n << 64n) - 9n,
      (1n << 64n) - 8n,
      (1n << 64n) - 1n,
    ];
    const straddling: readonly bigint[] = [1n, 2n, 3n, 4n, 5n, 6n, 7n].flatMap((by) => [BASE - by, END - by]);

    it("load gives 0 outside of the heap and across its ends", () => {
      const outcome = machine.call((p) => {
        const block = p.do("alloc", 24);
        p.do("fill", block, 24);
        for (const at of outside) p.do("load_u8", at);
        for (const at of outside) p.do("load_u64", at);
        for (const at of straddling) p.do("load_u64", at);
        p.do("load_u8", BASE - 1n);
        p.do("load_u8", BASE);
        p.do("load_u8", END - 1n);
        p.do("load_u64", END - 8n);
      });
      assert.equal(outcome.results[0], BASE);
      const zeros = Array<bigint>(outside.length * 2 + straddling.length + 1).fill(0n);
      assert.deepEqual(outcome.results.slice(2, -1), [...zeros, BigInt(FILL), BigInt(FILL), 0xa5a5a5a5a5a5a5a5n]);
    });

    it("store does nothing outside of the heap and across its ends", () => {
      const outcome = machine.call((p) => {
        const block = p.do("alloc", 24);
        p.do("fill", block, 24);
        for (const at of outside) p.do("store_u8", at, 0x5a);
        for (const at of [...outside, ...straddling]) p.do("store_u64", at, 0x5a5a5a5a5a5a5a5an);
        p.do("output_set", block, 24);
        // Nor did it reach the table, the free lists or what later blocks get.
        p.do("length", block);
        const later = p.do("alloc", 200_000);
        p.do("count_nonzero", later, 200_000);
        p.do("free", block);
        p.do("alloc", 24);
      });
      assert.deepEqual(new Set(outcome.output?.bytes()), new Set([FILL]));
      assert.equal(outcome.output?.length, 24);
      assert.deepEqual(outcome.results.slice(-6, -1), [24n, END, 0n, 0n, BASE]);
    });

    it("input_load reads inside the input and gives 0 where any byte is past its end", () => {
      const far = [(1n << 32n) - 1n, 1n << 32n, (1n << 32n) + 1n, 1n << 63n, (1n << 63n) + 1n, (1n << 64n) - 8n, (1n << 64n) - 7n, (1n << 64n) - 1n];
      for (let length = 0; length <= 20; length++) {
        const input = Uint8Array.from({ length }, (_unused, index) => 0x80 + index);
        const offsets = [...Array.from({ length: length + 10 }, (_unused, index) => BigInt(index)), ...far];
        const outcome = machine.call((p) => {
          p.do("input_length");
          p.do("input_offset");
          for (const offset of offsets) p.do("input_load_u8", offset);
          for (const offset of offsets) p.do("input_load_u64", offset);
        }, input);
        const byte = (offset: bigint): bigint => (offset < BigInt(length) ? BigInt(input[Number(offset)] ?? 0) : 0n);
        const wide = (offset: bigint): bigint =>
          offset + 8n > BigInt(length)
            ? 0n
            : [0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n].reduce((sum, index) => sum | (byte(offset + index) << (8n * index)), 0n);
        const expected = [BigInt(length), length === 0 ? 0n : BASE, ...offsets.map(byte), ...offsets.map(wide)];
        assert.deepEqual(outcome.results.slice(0, -1), expected, `${length} bytes`);
      }
    });

    it("output_set gives the bytes that it names, and the last one counts", () => {
      const cases: readonly (readonly [what: string, build: (p: Program) => void, output: string])[] = [
        ["a whole block", (p) => p.do("output_set", p.block("abcdefgh"), 8), "abcdefgh"],
        ["the inside of a block", (p) => p.do("output_set", past(p.block("abcdefgh"), 2), 3), "cde"],
        ["its last byte", (p) => p.do("output_set", past(p.block("abcdefgh"), 7), 1), "h"],
        ["nothing of a block", (p) => p.do("output_set", p.block("abcdefgh"), 0), ""],
        ["nothing at all", (p) => p.do("output_set", 0, 0), ""],
        ["two blocks in a row", (p) => (p.do("output_set", p.block("abcdefgh"), 16), p.block("ijklmnop")), "abcdefghijklmnop"],
        ["the input", (p) => p.do("output_set", p.do("input_offset"), 5), "input"],
        ["the second of two", (p) => (p.do("output_set", p.block("abcdefgh"), 8), p.do("output_set", p.block("xy"), 2)), "xy"],
        ["nothing after something", (p) => (p.do("output_set", p.block("abcdefgh"), 8), p.do("output_set", 0, 0)), ""],
        ["bytes written after it", (p) => { const b = p.block("abc"); p.do("output_set", b, 3); p.do("store_u8", past(b, 1), 0x21); }, "a!c"], // prettier-ignore
      ];
      for (const [what, build, output] of cases) {
        const outcome = machine.call(build, "input");
        assert.equal(outcome.error, undefined, what);
        assert.equal(outcome.output?.text(), output, what);
      }
      const [set, unset] = machine.run(
        program((p) => p.do("output_set", p.block("abc"), 3)),
        program(() => {}),
      );
      assert.deepEqual([set?.output?.text(), unset?.output?.length], ["abc", 0], "it does not last until the next call");
    });

    it("output_set of a range that leaves the heap fails with MORTISE_BAD_POINTER", () => {
      const cases: readonly (readonly [at: bigint, size: bigint])[] = [
        [BASE, 25n],
        [BASE + 24n, 1n],
        [BASE - 1n, 1n],
        [0n, 1n],
        [BASE, 1n << 32n],
        [BASE, (1n << 64n) - 1n],
        [(1n << 32n) + BASE, 8n],
        [(1n << 63n) + BASE, 8n],
        [(1n << 64n) - 8n, 16n],
      ];
      for (const [at, size] of cases) {
        const { error } = machine.call((p) => {
          p.do("alloc", 24);
          p.do("output_set", at, size);
        });
        hasCode("MORTISE_BAD_POINTER", { address: `0x${at.toString(16)}`, size: String(size) })(error);
      }
    });

    it("output_offset, output_length and memory_bytes tell what is set", () => {
      const { results } = machine.call((p) => {
        for (const name of ["output_offset", "output_length", "memory_bytes"] as const) p.do(name);
        p.do("output_set", p.do("alloc", 20), 7);
        for (const name of ["output_offset", "output_length", "memory_bytes"] as const) p.do(name);
      });
      assert.deepEqual(results, [0n, 0n, 0n, BASE, 0n, BASE, 7n, 24n, 0n]);
    });

    it("error_set sets, replaces and clears the message, and error_get tells it", () => {
      const set = machine.call((p) => {
        p.do("error_get");
        const first = p.block("first");
        p.do("error_set", first);
        p.do("error_set", p.block("second error"));
        p.do("error_get");
      });
      hasCode("MORTISE_GUEST_ERROR", { reason: "second error", returnCode: undefined })(set.error);
      assert.equal(set.results[0], 0n);
      assert.equal(set.results.at(-2), BASE + 8n);
      const [cleared, next] = machine.run(
        program((p) => {
          p.do("error_set", p.block("gone"));
          p.do("error_set", 0);
          p.do("error_get");
          p.do("output_set", p.block("fine"), 4);
        }),
        program((p) => p.do("error_get")),
      );
      assert.deepEqual([cleared?.error, cleared?.output?.text(), cleared?.results.at(-8)], [undefined, "fine", 0n]);
      assert.deepEqual(next?.results, [0n, 0n], "it does not last until the next call");
    });

    it("error_set of what is no living block fails with MORTISE_BAD_POINTER", () => {
      const cases: readonly ((p: Program) => void)[] = [
        (p) => p.do("error_set", 1),
        (p) => p.do("error_set", past(p.block("abcdefghijkl"), 8)),
        (p) => p.do("error_set", past(p.block("abc"), 1n << 32n)),
        (p) => p.do("error_set", (1n << 64n) - 1n),
        (p) => { const b = p.block("abc"); p.do("free", b); p.do("error_set", b); }, // prettier-ignore
      ];
      for (const build of cases) hasCode("MORTISE_BAD_POINTER", { what: "an error message" })(machine.call(build).error);
    });

    it("config_get answers with a copy and frees the key", () => {
      const outcome = machine.call((p) => {
        const key = p.block("colour");
        const value = p.do("config_get", key);
        p.do("length", key);
        p.do("length", value);
        p.do("output_set", value, 18);
      });
      assert.equal(outcome.output?.text(), "a dark, oily brown");
      assert.deepEqual(outcome.results.slice(-4, -2), [0n, 18n]);
    });

    it("blocks keep their bytes when the memory grows in the middle of a call", () => {
      const outcome = machine.call((p) => {
        const first = p.block("before the growth");
        const freed = p.do("alloc", 32);
        p.do("free", freed);
        const large = p.do("alloc", 3 << 20);
        p.do("fill", large, 3 << 20);
        const last = p.block("after");
        p.do("length", first);
        p.do("length", large);
        p.do("alloc", 32);
        p.do("load_u64", past(large, (3 << 20) - 8));
        p.do("load_u64", past(last, -8));
        p.do("input_load_u8", 4);
        p.do("output_set", first, 17);
      }, "input");
      assert.equal(outcome.output?.text(), "before the growth");
      const full = 0xa5a5a5a5a5a5a5a5n;
      assert.deepEqual(outcome.results.slice(-8, -2), [17n, BigInt(3 << 20), outcome.results[18], full, full, 0x74n]);
    });

    for (const size of [1 << 20, 10 << 20]) {
      it(`input and output of ${size >> 20} MiB pass unchanged`, () => {
        const input = new Uint8Array(size);
        for (let index = 0; index < size; index += 1021) input[index] = index & 0xff;
        input[size - 1] = 0x77;
        const outcome = machine.call((p) => {
          p.do("output_set", p.do("input_offset"), size);
          p.do("input_load_u8", size - 1);
          p.do("input_load_u64", size - 8);
          p.do("input_load_u64", size - 7);
          p.do("input_load_u8", size);
        }, input);
        assert.deepEqual(outcome.results.slice(2, 6), [0x77n, (0x77n << 56n) | (outcome.results[3] ?? 0n), 0n, 0n]);
        assert.equal(Buffer.compare(outcome.output?.bytes() ?? Buffer.alloc(0), input), 0);
      });
    }
  });
}

describe("The allocator", () => {
  it("serves 10,000 blocks, and gives the freed third to the next of their size", async () => {
    await using machine = await openMachine();
    const outcome = machine.call((p) => {
      const blocks = Array.from({ length: 10_000 }, (_unused, index) => p.do("alloc", 8 << (index % 4)));
      p.do("memory_bytes");
      for (let index = 0; index < blocks.length; index += 3) p.do("free", blocks[index]);
      for (let index = 0; index < blocks.length; index += 3) p.do("alloc", 8 << (index % 4));
      p.do("memory_bytes");
      for (const block of blocks) p.do("length", block);
    });
    assert.equal(outcome.error, undefined);
    const { results } = outcome;
    const third = 3334;
    const first = results.slice(0, 10_000);
    const again = results.slice(10_001 + third, 10_001 + third * 2);
    assert.equal(new Set(first).size, 10_000);
    assert.deepEqual(new Set(again), new Set(first.filter((_unused, index) => index % 3 === 0)));
    assert.equal(results[10_001 + third * 2], results[10_000], "the heap did not grow for what fits into freed blocks");
    assert.deepEqual(
      results.slice(10_002 + third * 2, -1),
      first.map((_unused, index) => BigInt(8 << (index % 4))),
    );
  });

  it("never gives a freed block to a request that it is too small for", async () => {
    await using machine = await openMachine();
    for (const [freed, wanted] of [
      [16, 24],
      [8, 9],
      [40, 56],
      [64, 65],
      [1000, 1016],
    ] as const) {
      const { results } = machine.call((p) => {
        const first = p.do("alloc", freed);
        const next = p.block("neighbour");
        p.do("free", first);
        p.do("fill", p.do("alloc", wanted), wanted);
        p.do("output_set", next, 9);
      });
      const [first, neighbour] = [results[0] as bigint, results[1] as bigint];
      const again = results[12] as bigint;
      assert.ok(again + BigInt(wanted) <= first || again >= neighbour + 9n, `${wanted} bytes at ${again}, where ${freed} were freed at ${first}`);
    }
  });

  it("serves 40,000 living blocks, each found by its address alone", async () => {
    await using machine = await openMachine({ limits: { memoryBytes: 128 << 20 } });
    const count = 40_000;
    const outcome = machine.call((p) => {
      const blocks = Array.from({ length: count }, (_unused, index) => p.do("alloc", 1 + (index % 24)));
      for (const [index, block] of blocks.entries()) p.do("store_u8", block, index);
      for (const block of blocks) p.do("length", block);
      for (const block of blocks) p.do("load_u8", block);
      for (const block of blocks) p.do("length", past(block, 4));
    });
    assert.equal(outcome.error, undefined);
    const { results } = outcome;
    assert.equal(new Set(results.slice(0, count)).size, count);
    for (let index = 0; index < count; index++) {
      const found = [results[count * 2 + index], results[count * 3 + index], results[count * 4 + index]];
      assert.deepEqual(found, [BigInt(1 + (index % 24)), BigInt(index & 0xff), 0n], `block ${index}`);
    }
  });

  it("fails for good blocks never: an instance that allocates in 20,000 calls answers as at first", async () => {
    await using machine = await openMachine();
    const once = program((p) => {
      p.do("alloc", 1000);
      p.do("alloc", 24);
    });
    const outcomes = machine.run(...Array.from({ length: 20_000 }, () => ({ program: once, input: "x" })));
    const [first] = outcomes;
    for (const [index, outcome] of outcomes.entries()) assert.deepEqual(outcome.results, first?.results, `call ${index}`);
    assert.equal(machine.plugin.stats().instances.created, 1);
  });

  it("takes its memory from limits.memoryBytes together with the guest's own", async () => {
    // One page of the guest, one of the kernel; the program takes the guest's page only.
    await using machine = await openMachine({ limits: { memoryBytes: 4 << 16 } });
    const largest = (size: number) => machine.call((p) => p.do("alloc", size)).error?.code;
    assert.equal(largest(3 * 65_536 - 256 - 16), undefined);
    assert.equal(largest(3 * 65_536 - 256 - 15), "MORTISE_MEMORY_LIMIT");
    assert.equal(machine.plugin.stats().memory.peak <= 4 << 16, true);
  });

  it("gives the last call's memory back to the next one", async () => {
    await using machine = await openMachine({ limits: { memoryBytes: 8 << 20 } });
    for (let turn = 0; turn < 5; turn++) {
      const outcome = machine.call((p) => p.do("fill", p.do("alloc", 6 << 20), 6 << 20));
      assert.equal(outcome.error, undefined, `turn ${turn}`);
    }
  });
});

describe("A call", () => {
  it("never sees handles of an earlier call", async () => {
    await using machine = await openMachine();
    const [first, second] = machine.run(
      program((p) => {
        p.block("twenty-four bytes of it!");
        p.do("error_get");
      }),
      program((p) => {
        for (const name of ["length", "length_unsafe", "load_u8", "load_u64"] as const) p.do(name, BASE);
        p.do("output_offset");
        p.do("error_get");
        p.do("memory_bytes");
        p.do("alloc", 24);
        p.do("load_u64", BASE);
      }),
    );
    assert.equal(first?.results[0], BASE);
    assert.deepEqual(second?.results, [0n, 0n, 0n, 0n, 0n, 0n, 0n, BASE, 0n, 0n]);
  });

  // Shapes of a first call, and inputs of a second one that end in the old heap, in the old block table, and behind both.
  const shapes: readonly (readonly [what: string, sizes: readonly number[]])[] = [
    ["a few small blocks", [1, 8, 9, 100]],
    ["50 blocks, whose table takes 800 bytes of the first 4 KiB", Array<number>(50).fill(8)],
    ["heap and table that fill 4 KiB to the byte", [...Array<number>(100).fill(8), 4096 - 256 - 800 - 101 * 16]],
    ["one block of a page", [65_536]],
    ["3,000 blocks", Array<number>(3000).fill(16)],
    ["a block of 300 KiB among small ones", [16, 300 << 10, 16]],
  ];
  const inputLengths = [
    0, 1, 7, 8, 9, 100, 255, 256, 400, 1000, 2000, 3031, 3032, 3039, 3040, 3041, 3300, 3500, 3824, 3839, 3840, 3841, 4000, 4096, 5000, 40_000, 65_279,
    65_280, 65_281, 66_000, 100_000, 200_000, 400_000, 700_000,
  ];
  for (const [what, sizes] of shapes) {
    it(`sees nothing but zeros besides its input after a call with ${what}`, async () => {
      await using machine = await openMachine();
      for (const length of inputLengths) {
        const dirty = program((p) => {
          for (const size of sizes) p.do("fill", p.do("alloc", size), roundUp(size));
        });
        const look = program((p) => {
          p.do("count_nonzero", BASE + BigInt(length), roundUp(length) - length);
          for (const size of [8, 100, 1000, 2000, 4096, 65_536, 500_000]) p.do("count_nonzero", p.do("alloc", size), roundUp(size));
          p.do("output_set", p.do("input_offset"), length);
        });
        const input = new Uint8Array(length).fill(0xee);
        const [, second, third] = machine.run(dirty, { program: look, input }, look);
        const found = [1, 3, 5, 7, 9, 11, 13].map((step) => second?.results[step + 1]);
        assert.deepEqual([second?.results[0], ...found], Array(8).fill(0n), `input of ${length} bytes`);
        assert.equal(Buffer.compare(second?.output?.bytes() ?? Buffer.alloc(0), input), 0, `input of ${length} bytes`);
        // Without an input, after one: what the input left is gone as well.
        assert.deepEqual(
          [1, 3, 5, 7, 9, 11, 13].map((step) => third?.results[step + 1]),
          Array(7).fill(0n),
          `after ${length} bytes`,
        );
      }
    });
  }

  it("sees nothing of other calls, whatever they allocated, freed and got", async () => {
    await using machine = await openMachine();
    const size = fc.oneof(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 60_000, max: 140_000 }));
    const call = fc.record({
      input: fc.oneof(fc.constant(0), size),
      blocks: fc.array(size, { maxLength: 40 }),
      freed: fc.array(fc.nat(39), { maxLength: 10 }),
      more: fc.array(size, { maxLength: 10 }),
    });
    fc.assert(
      fc.property(fc.array(call, { minLength: 2, maxLength: 6 }), (calls) => {
        const outcomes = machine.run(
          ...calls.map(({ input, blocks, freed, more }) => ({
            input: new Uint8Array(input).fill(0xee),
            program: program((p) => {
              p.do("count_nonzero", BASE + BigInt(input), roundUp(input) - input);
              const made = blocks.map((bytes) => {
                const block = p.do("alloc", bytes);
                p.do("count_nonzero", block, roundUp(bytes));
                p.do("fill", block, roundUp(bytes));
                return block;
              });
              for (const index of freed) if (made[index] !== undefined) p.do("free", made[index]);
              for (const bytes of more) p.do("fill", p.do("alloc", bytes), roundUp(bytes));
            }),
          })),
        );
        for (const [index, outcome] of outcomes.entries()) {
          assert.equal(outcome.error, undefined);
          assert.equal(outcome.results[0], 0n, `behind the input of call ${index}`);
          for (const [block] of (calls[index]?.blocks ?? []).entries())
            assert.equal(outcome.results[2 + block * 3], 0n, `block ${block} of call ${index}`);
        }
      }),
      { numRuns: 150 },
    );
  });

  it("passes 40 MiB in and out when its limits allow", async () => {
    await using machine = await openMachine({ limits: { memoryBytes: 128 << 20, outputBytes: 64 << 20 } });
    const size = 40 << 20;
    const input = new Uint8Array(size);
    for (let index = 0; index < size; index += 4093) input[index] = index % 251;
    const outcome = machine.call((p) => p.do("output_set", p.do("input_offset"), size), input);
    assert.equal(Buffer.compare(outcome.output?.bytes() ?? Buffer.alloc(0), input), 0);
    const text = "é".repeat(10 << 20);
    assert.equal(machine.call((p) => p.do("output_set", p.do("input_offset"), 20 << 20), text).output?.text(), text);
    assert.equal(machine.call((p) => p.do("count_nonzero", p.do("alloc", size), size)).results[1], 0n);
  });

  it("refuses an input that does not fit, and the next one runs", async () => {
    await using machine = await openMachine({ limits: { memoryBytes: 1 << 20 } });
    for (const input of [new Uint8Array(2 << 20), "x".repeat(2 << 20), "é".repeat(1 << 20)]) {
      hasCode("MORTISE_INPUT_LIMIT", { size: 2 << 20, limit: 1 << 20 })(machine.call(() => {}, input).error);
    }
    assert.equal(machine.call((p) => p.do("output_set", p.do("input_offset"), 2), "ok").output?.text(), "ok");
  });

  it("fails with MORTISE_OUTPUT_LIMIT one byte above limits.outputBytes, and not at it", async () => {
    await using machine = await openMachine({ limits: { outputBytes: 100 } });
    const give = (size: number) => machine.call((p) => p.do("output_set", p.do("alloc", 200), size));
    assert.equal(give(100).output?.length, 100);
    hasCode("MORTISE_OUTPUT_LIMIT", { size: 101, limit: 100 })(give(101).error);
  });

  it("takes text as UTF-8, lone surrogates as U+FFFD", async () => {
    await using machine = await openMachine();
    const cases = [
      "",
      "a",
      "é",
      "a".repeat(95) + "é",
      "é".repeat(97),
      "😀",
      "\ud800",
      "a\udc00b",
      "\u0000\u007f\u0080\u07ff\u0800\uffff",
      "x".repeat(5000),
    ];
    for (const text of cases) {
      const expected = new TextEncoder().encode(text);
      const { output } = machine.call((p) => p.do("output_set", p.do("input_offset"), expected.length), text);
      assert.deepEqual(output?.bytes(), expected, JSON.stringify(text.slice(0, 10)));
    }
  });
});

describe("config_get", () => {
  const config = { ...JSON.parse('{"__proto__":"polluted"}'), plain: "value", "": "no name", empty: "", schlüssel: "größer", toJSON: "t" } as Record<
    string,
    string
  >;

  it("answers for what was configured and for nothing else", async () => {
    await using machine = await openMachine({ config });
    const cases: readonly (readonly [key: string, value: string | undefined])[] = [
      ["plain", "value"],
      ["", "no name"],
      ["empty", undefined],
      ["schlüssel", "größer"],
      ["__proto__", "polluted"],
      ["toJSON", "t"],
      ["toString", undefined],
      ["constructor", undefined],
      ["hasOwnProperty", undefined],
      ["Plain", undefined],
      ["plain ", undefined],
      ["missing", undefined],
    ];
    for (const [key, value] of cases) {
      const bytes = new TextEncoder().encode(value ?? "");
      const outcome = machine.call((p) => {
        const found = p.do("config_get", key === "" ? 0 : p.block(key));
        p.do("output_set", found, bytes.length);
        p.do("length", found);
      });
      assert.equal(outcome.output?.text(), value ?? "", key);
      assert.equal(outcome.results.at(-2), BigInt(bytes.length), key);
      if (value === undefined) assert.equal(outcome.results.at(-4), 0n, key);
    }
  });

  it("refuses a key that is not UTF-8", async () => {
    await using machine = await openMachine({ config });
    hasCode("MORTISE_BAD_TEXT", { what: "a config key" })(machine.call((p) => p.do("config_get", p.block(Uint8Array.of(0xff)))).error);
  });
});

const setVariable = (p: Program, name: string, value: string | undefined): void => {
  const key = p.block(name);
  p.do("var_set", key, value === undefined ? 0 : p.block(value));
};
const getVariable = (machine: Machine, name: string, length: number) =>
  machine.call((p) => {
    const value = p.do("var_get", p.block(name));
    p.do("length", value);
    p.do("output_set", value, length);
  });

describe("var_get and var_set", () => {
  it("keep bytes from call to call, until they are deleted", async () => {
    await using machine = await openMachine();
    assert.equal(machine.call((p) => setVariable(p, "name", "first")).error, undefined);
    assert.equal(getVariable(machine, "name", 5).output?.text(), "first");
    machine.call((p) => setVariable(p, "name", "other value"));
    assert.equal(getVariable(machine, "name", 11).output?.text(), "other value");
    assert.deepEqual(machine.plugin.stats().variables, { count: 1, bytes: 48 + 4 + 11 });
    machine.call((p) => setVariable(p, "name", undefined));
    assert.equal(getVariable(machine, "name", 0).results.at(-3), 0n);
    assert.deepEqual(machine.plugin.stats().variables, { count: 0, bytes: 0 });
    assert.equal(machine.call((p) => setVariable(p, "name", undefined)).error, undefined, "deleting what is not there");
  });

  it("free what they are given, and answer with a block of the guest's own", async () => {
    await using machine = await openMachine();
    const text = "too long for the block that held its name";
    const outcome = machine.call((p) => {
      const key = p.block("k");
      const value = p.block(text);
      p.do("var_set", key, value);
      p.do("length", key);
      p.do("length", value);
      const again = p.block("k");
      const copy = p.do("var_get", again);
      p.do("length", again);
      p.do("store_u8", copy, 0x21);
      p.do("output_set", p.do("var_get", p.block("k")), text.length);
    });
    assert.equal(outcome.output?.text(), text, "a guest that writes into its copy does not change the variable");
    const step = 2 + 1 + text.length;
    assert.deepEqual(outcome.results.slice(step + 1, step + 3), [0n, 0n]);
    assert.equal(outcome.results[step + 6], 0n);
  });

  it("take every name for a name", async () => {
    await using machine = await openMachine();
    for (const name of ["__proto__", "toString", "é", "a\u0000b", "constructor"]) {
      assert.equal(getVariable(machine, name, 0).results.at(-3), 0n, name);
      machine.call((p) => setVariable(p, name, name));
      assert.equal(getVariable(machine, name, Buffer.byteLength(name)).output?.text(), name);
    }
    assert.equal(machine.plugin.stats().variables.count, 5);
  });

  it("count name, value and 48 bytes for each against limits.varBytes", async () => {
    const [name, value] = ["é", "hello"];
    const size = 48 + 2 + 5;
    for (const [varBytes, fits] of [
      [size, true],
      [size - 1, false],
    ] as const) {
      // prettier-ignore
      await using machine = await openMachine({ limits: { varBytes } });
      const { error } = machine.call((p) => setVariable(p, name, value));
      if (fits) assert.equal(error, undefined);
      else hasCode("MORTISE_VAR_LIMIT", { name, size, limit: varBytes })(error);
      assert.equal(machine.plugin.stats().variables.bytes, fits ? size : 0);
    }
    await using machine = await openMachine({ limits: { varBytes: 2 * (48 + 1 + 10) } });
    const put = (key: string, length: number) => machine.call((p) => setVariable(p, key, "x".repeat(length))).error?.code;
    assert.deepEqual([put("a", 10), put("b", 10), put("c", 1)], [undefined, undefined, "MORTISE_VAR_LIMIT"]);
    assert.deepEqual([put("a", 11), put("a", 9), put("b", 11), put("b", 12)], ["MORTISE_VAR_LIMIT", undefined, undefined, "MORTISE_VAR_LIMIT"]);
    assert.equal(getVariable(machine, "b", 11).output?.length, 11, "what did not fit changed nothing");
  });

  it("are forbidden by limits.varBytes 0, deleting and reading excepted", async () => {
    await using machine = await openMachine({ limits: { varBytes: 0 } });
    hasCode("MORTISE_VAR_LIMIT", { limit: 0 })(machine.call((p) => setVariable(p, "a", "x")).error);
    assert.equal(machine.call((p) => setVariable(p, "a", undefined)).error, undefined);
    assert.equal(getVariable(machine, "a", 0).error, undefined);
  });

  it("refuse a name that is not UTF-8", async () => {
    await using machine = await openMachine();
    const bad = Uint8Array.of(0x61, 0xc0, 0x80);
    hasCode("MORTISE_BAD_TEXT", { what: "a variable name" })(machine.call((p) => p.do("var_get", p.block(bad))).error);
    hasCode("MORTISE_BAD_TEXT", { what: "a variable name" })(machine.call((p) => p.do("var_set", p.block(bad), p.block("x"))).error);
  });
});

/** A logger that keeps its lines. */
function keepLogs(): Logger & { readonly lines: string[] } {
  const lines: string[] = [];
  const add = (level: string) => (text: string) => void lines.push(`${level}: ${text}`);
  return { lines, trace: add("trace"), debug: add("debug"), info: add("info"), warn: add("warn"), error: add("error") };
}

describe("log_trace … log_error and get_log_level", () => {
  const levels = ["trace", "debug", "info", "warn", "error"] as const;

  for (const [rank, logLevel] of levels.entries()) {
    it(`pass what is at least ${logLevel} and free every block`, async () => {
      const logger = keepLogs();
      await using machine = await openMachine({ logger, logLevel });
      const outcome = machine.call((p) => {
        const blocks = levels.map((level) => {
          const block = p.block(`${level[0]}`);
          p.do(`log_${level}`, block);
          return block;
        });
        for (const block of blocks) p.do("length", block);
        p.do("get_log_level");
      });
      assert.deepEqual(
        logger.lines,
        levels.slice(rank).map((level) => `${level}: ${level[0]}`),
      );
      assert.deepEqual(outcome.results.slice(-7), [0n, 0n, 0n, 0n, 0n, BigInt(rank), 0n]);
    });
  }

  it("are off without a logger, and free the block all the same", async () => {
    await using machine = await openMachine();
    const outcome = machine.call((p) => {
      const block = p.block("x");
      p.do("log_error", block);
      p.do("length", block);
      p.do("get_log_level");
    });
    assert.deepEqual(outcome.results.slice(-3), [0n, 0x7fff_ffffn, 0n]);
  });

  it("use level info by default", async () => {
    const logger = keepLogs();
    await using machine = await openMachine({ logger });
    machine.call((p) => (p.do("log_debug", p.block("no")), p.do("log_info", p.block("yes"))));
    assert.deepEqual(logger.lines, ["info: yes"]);
  });

  it("escape what could forge lines or rewrite a terminal, and replace what is not UTF-8", async () => {
    const logger = keepLogs();
    await using machine = await openMachine({ logger });
    machine.call((p) => {
      p.do("log_info", p.block("a\nb\r\u001b[2J\u2028\u202eé"));
      p.do("log_info", p.block(Uint8Array.of(0x61, 0xff, 0x62)));
      p.do("log_info", 0);
      p.do("log_info", 12_345_678);
    });
    assert.deepEqual(logger.lines, ["info: a\\nb\\u000d\\u001b[2J\\u2028\\u202eé", "info: a\ufffdb", "info: ", "info: "]);
  });

  it("drop what passes limits.logBytes of a call, with one notice a call, and count it", async () => {
    const logger = keepLogs();
    await using machine = await openMachine({ logger, limits: { logBytes: 2 * (5 + 16) } });
    const chatter = program((p) => {
      for (const text of ["12345", "67890", "1", "2"]) p.do("log_info", p.block(text));
    });
    machine.run(chatter, chatter);
    assert.deepEqual(
      logger.lines.filter((line) => line.startsWith("info")),
      ["info: 12345", "info: 67890", "info: 12345", "info: 67890"],
    );
    assert.equal(machine.plugin.stats().droppedLogs, 4);
    const notices = logger.lines.filter((line) => line.startsWith("warn"));
    assert.equal(notices.length, 2);
    for (const notice of notices) assert.match(notice, /^warn: MORTISE_LOG_LIMIT: .*\b42 bytes/);
  });

  it("cut a line at 8,192 characters", async () => {
    const logger = keepLogs();
    await using machine = await openMachine({ logger });
    const outcome = machine.call((p) => p.do("log_info", p.do("input_offset")), "y".repeat(20_000));
    assert.equal(outcome.error, undefined);
    assert.deepEqual(logger.lines, [`info: ${"y".repeat(8192)}…`]);
  });
});

describe("http_request, http_status_code and http_headers", () => {
  it("are denied without a permission, and know of no response", async () => {
    await using machine = await openMachine();
    const outcome = machine.call((p) => (p.do("http_status_code"), p.do("http_headers")));
    assert.deepEqual(outcome.results, [0n, 0n, 0n]);
    hasCode("MORTISE_PERMISSION")(machine.call((p) => p.do("http_request", p.block('{"url":"http://localhost"}'), 0)).error);
  });
});

describe("Addresses beyond 32 bits", () => {
  const takers: readonly (readonly [name: EnvironmentName, build: (p: Program, address: Operand) => void])[] = [
    ["log_info", (p, address) => p.do("log_info", address)],
    ["config_get", (p, address) => p.do("config_get", address)],
    ["var_get", (p, address) => p.do("var_get", address)],
    ["var_set", (p, address) => p.do("var_set", p.block("k"), address)],
  ];
  for (const [name, build] of takers) {
    it(`are no blocks for ${name}, which frees none`, async () => {
      await using machine = await openMachine({ logger: keepLogs() });
      const outcome = machine.call((p) => {
        const block = p.block("kept");
        build(p, BASE + (1n << 32n));
        p.do("length", block);
      });
      assert.equal(outcome.results.at(-2), 4n);
    });
  }
});

/** A guest in text form, which imports everything in its first line. */
async function openText(text: string, options: PluginOptions = {}) {
  return loadPlugin(await assemble(text), { name: "guest", ...options });
}

const typeText = (params: readonly string[], result: string | undefined): string =>
  `${params.map((type) => `(param ${type})`).join(" ")}${result === undefined ? "" : `(result ${result})`}`;

describe("loadPlugin checks what is imported from extism:host/env:", () => {
  it("each function with its own type is accepted, whether used or not", async () => {
    const imports = Object.entries(ENVIRONMENT).map(
      ([name, [params, result]]) => `(import "extism:host/env" "${name}" (func ${typeText(params, result)}))`,
    );
    await using plugin = await openText(`(module ${imports.join("\n")} (func (export "f")))`);
    assert.equal(plugin.callSync("f").length, 0);
  });

  it("each function with another type is refused with MORTISE_IMPORT_TYPE", async () => {
    for (const [name, [params, result]] of Object.entries(ENVIRONMENT)) {
      const wrong = [
        typeText([...params, "i32"], result),
        typeText(params, result === "i32" ? "i64" : "i32"),
        typeText(
          params.map((type) => (type === "i64" ? "i32" : "f64")),
          result === undefined ? "f32" : result,
        ),
      ].filter((text) => text !== typeText(params, result));
      for (const text of wrong) {
        await assert.rejects(
          openText(`(module (import "extism:host/env" "${name}" (func ${text})))`),
          (error: MortiseError) => (hasCode("MORTISE_IMPORT_TYPE", { module: "extism:host/env", name })(error), true),
          `${name} ${text}`,
        );
      }
    }
  });

  it("the refusal names the plugin as every other message does", async () => {
    await assert.rejects(openText(`(module (import "extism:host/env" "alloc" (func)))`), /^MortiseError: Cannot load plugin "guest": /);
  });

  it("an unknown function is refused with a suggestion, and everything but functions too", async () => {
    const cases: readonly (readonly [text: string, message: RegExp])[] = [
      [`(func)) (func (export "alloc")`, /function "extism:host\/env" "aloc", which nothing provides; did you mean "alloc"\?$/],
      [`(memory 1)`, /memory "extism:host\/env" "aloc".*only functions can be imported$/],
      [`(global i32)`, /global "extism:host\/env" "aloc"/],
      [`(global (mut i32))`, /global "extism:host\/env" "aloc"/],
      [`(table 1 funcref)`, /table "extism:host\/env" "aloc"/],
    ];
    for (const [text, message] of cases) {
      await assert.rejects(openText(`(module (import "extism:host/env" "aloc" ${text}))`), { code: "MORTISE_MISSING_IMPORT", message });
    }
    await assert.rejects(openText(`(module (import "extism:host/env" "toString" (func)))`), { code: "MORTISE_MISSING_IMPORT" });
    await assert.rejects(openText(`(module (import "env" "memory" (memory 1)))`), { code: "MORTISE_MISSING_IMPORT" });
  });
});

describe("A guest's own memories", () => {
  const echo = `
    (func (export "echo") (local $block i64)
      (local.set $block (call $alloc (i64.const 8)))
      (call $store_u64 (local.get $block) (call $input_load_u64 (i64.const 0)))
      (call $output_set (local.get $block) (i64.const 8)))`;
  const imports = `
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "input_load_u64" (func $input_load_u64 (param i64) (result i64)))
    (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
    (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))`;

  it("may be absent", async () => {
    await using plugin = await openText(`(module ${imports} ${echo})`);
    assert.equal(plugin.callSync("echo", "12345678").text(), "12345678");
  });

  it("may be several, each apart from the kernel's", async () => {
    const text = `(module ${imports} (memory $a 1) (memory $b 1 2) (start $init) ${echo}
      (func $init (i64.store $b (i32.const 256) (i64.const 0x21217972616e6163)))
      (func (export "own") (local $block i64)
        (i64.store $a (i32.const 256) (i64.const -1))
        (local.set $block (call $alloc (i64.const 8)))
        (call $store_u64 (local.get $block) (i64.load $b (i32.const 256)))
        (call $output_set (local.get $block) (i64.const 8))))`;
    await using plugin = await openText(text);
    assert.equal(plugin.callSync("echo", "12345678").text(), "12345678");
    assert.equal(plugin.callSync("own").text(), "canary!!");
    assert.equal(plugin.callSync("echo", "abcdefgh").text(), "abcdefgh");
  });

  it("may be exported, and stay as they are when the kernel's grows", async () => {
    const text = `(module ${imports} (memory (export "memory") 1 1) ${echo}
      (func (export "both") (result i32)
        (i64.store (i32.const 65528) (i64.const 0x2121212121212121))
        (call $store_u64 (call $alloc (i64.const 1000000)) (i64.const 7))
        (call $output_set (call $alloc (i64.const 8)) (i64.const 8))
        (i32.or (i32.ne (memory.size) (i32.const 1)) (i64.ne (i64.load (i32.const 65528)) (i64.const 0x2121212121212121)))))`;
    await using plugin = await openText(text);
    assert.deepEqual([...plugin.callSync("both").bytes()], Array(8).fill(0));
  });
});

describe("Imports that are exported again", () => {
  const text = `(module
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "input_length" (func $input_length (result i64)))
    (import "extism:host/env" "get_log_level" (func $get_log_level (result i32)))
    (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
    (export "alloc" (func $alloc)) (export "input_length" (func $input_length)) (export "get_log_level" (func $get_log_level))
    (func (export "run") (call $output_set (call $alloc (i64.const 3)) (call $input_length))))`;

  it("leave the rest of the plugin as it is", async () => {
    await using plugin = await openText(text);
    assert.deepEqual(plugin.exports, ["run"]);
    assert.equal(plugin.callSync("run", "abc").length, 3);
  });

  it("cannot be called", async () => {
    await using plugin = await openText(text);
    for (const name of ["alloc", "input_length", "get_log_level"]) {
      assert.equal(plugin.has(name), false);
      assert.throws(() => plugin.callSync(name), { code: "MORTISE_BAD_SIGNATURE" });
    }
  });

  it("say why they cannot be called", async () => {
    await using plugin = await openText(text);
    assert.throws(() => plugin.callSync("get_log_level"), { message: /it is an import of type/ });
  });
});
