// Traps in real guests: an `unreachable` is put in the place of each instruction in turn, and the trace must name that
// very byte, whatever the rewriter did to the code around it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";

import { type MortiseError, loadPlugin } from "../../src/index.ts";
import { readModule } from "../../src/wasm/module-reader.ts";

const UNREACHABLE = 0x00;
const NOP = 0x01;

interface Step {
  readonly end: number;
  readonly replaceable: boolean;
}

const done = (end: number, replaceable = true): Step => ({ end, replaceable });

/** Offset behind the instruction at `at`; undefined for one that opens, parts or closes a block. */
function instructionEnd(bytes: Uint8Array, at: number): Step {
  const leb = (from: number): number => {
    let position = from;
    while ((bytes[position] as number) >= 0x80) position++;
    return position + 1;
  };
  const code = bytes[at] as number;
  if (code >= 0x02 && code <= 0x04) return done(leb(at + 1), false);
  if (code === 0x05 || code === 0x0b) return done(at + 1, false);
  if (
    code === 0x0c ||
    code === 0x0d ||
    code === 0x10 ||
    (code >= 0x20 && code <= 0x26) ||
    code === 0x41 ||
    code === 0x42 ||
    code === 0x3f ||
    code === 0x40
  )
    return done(leb(at + 1));
  if (code === 0x11 || (code >= 0x28 && code <= 0x3e)) return done(leb(leb(at + 1)));
  if (code === 0x43) return done(at + 5);
  if (code === 0x44) return done(at + 9);
  if (code === 0x0e) {
    let position = leb(at + 1);
    let count = 0;
    for (let index = at + 1, shift = 0; index < position; index++, shift += 7) count |= ((bytes[index] as number) & 0x7f) << shift;
    for (let left = count; left >= 0; left--) position = leb(position);
    return done(position);
  }
  if (code === 0xfc) {
    const kind = bytes[at + 1] as number;
    return done(at + 2 + (kind < 8 ? 0 : kind === 9 || kind === 11 || kind === 13 ? 1 : 2));
  }
  if (code <= 0x01 || code === 0x0f || code === 0x1a || code === 0x1b || (code >= 0x45 && code <= 0xc4)) return done(at + 1);
  return assert.fail(`instruction 0x${code.toString(16)} at ${at} is not known to this test`);
}

/** Places of all instructions that can be replaced. */
function places(bytes: Uint8Array): { readonly at: number; readonly end: number }[] {
  const module = readModule(bytes, "the guest");
  const found: { at: number; end: number }[] = [];
  for (let body = 0; body < module.bodies.length / 2; body++) {
    let at = module.bodies[body * 2] as number;
    const end = module.bodies[body * 2 + 1] as number;
    let groups = bytes[at++] as number; // fewer than 128 in these guests
    for (; groups > 0; groups--) {
      while ((bytes[at++] as number) >= 0x80);
      at++;
    }
    while (at < end) {
      const next = instructionEnd(bytes, at);
      if (next.replaceable) found.push({ at, end: next.end });
      at = next.end;
    }
    assert.equal(at, end, `the body of function ${body} was read to its end`);
  }
  return found;
}

const GUESTS: readonly (readonly [file: string, fn: string, input: string, every: number])[] = [
  ["count_vowels.c", "count_vowels", "The quick brown fox jumps over", 1],
  ["count_vowels.ts", "count_vowels", "The quick brown fox jumps over", 1],
  ["echo.c", "echo", "an input of 29 bytes, not 32!", 1],
  ["sha256.c", "sha256", "x".repeat(130), 9],
  ["vowels.ts", "count_vowels", "größer", 29],
  ["word_frequency.rs", "top_words", "# Title\n\nthe joint and the tenon", 211],
];

describe("The trace of a trap", () => {
  for (const [file, fn, input, every] of GUESTS) {
    it(`names the very byte of ${every === 1 ? "each instruction" : `every ${every}th instruction`} of ${file}.wasm that is reached`, async () => {
      const original = Uint8Array.from(readFileSync(new URL(`../../guests/prebuilt/${file}.wasm`, import.meta.url)));
      let reached = 0;
      for (const [index, { at, end }] of places(original).entries()) {
        if (index % every !== 0) continue;
        const bytes = original.slice();
        bytes.fill(NOP, at, end);
        bytes[at] = UNREACHABLE;
        try {
          const plugin = await loadPlugin(bytes, { limits: { timeoutMs: 10_000 } });
          plugin.callSync(fn, input);
        } catch (error) {
          const { code, details } = error as MortiseError;
          assert.equal(code, "MORTISE_TRAP");
          assert.equal((details["trace"] as { offset: number }[])[0]?.offset, at);
          reached++;
        }
      }
      assert.ok(reached > 20, `${reached} were reached`);
    });
  }
});
