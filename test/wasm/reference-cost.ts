// What each instruction costs, stated once more and apart from the rewriter: the rule of src/wasm/cost.ts as a
// function of the instruction alone. The interpreter adds up what it executes; the meter may charge more, never less.
import { BULK_SPLIT_BYTES, COST } from "../../src/wasm/cost.ts";
import type { FunctionType, Instruction } from "./reference-reader.ts";

const moved = (values: number): number => Math.floor(values * COST.movedValue);

/** What a label's branch costs for the values it carries. */
export function branchMoves(block: Instruction): number {
  const type = block.typed ? block.block : undefined;
  if (type === undefined) return 0;
  return moved(block.code === 0x03 ? type.params.length : type.results.length);
}

/** What entering a block costs: the values it takes and gives, if its type is given by index. */
export function blockPrice(block: Instruction): number {
  const type = block.typed ? block.block : undefined;
  return (block.code === 0x04 ? 1 : 0) + (type === undefined ? 0 : moved(type.params.length + type.results.length));
}

/** What each arrival at a loop's head costs. */
export function loopPrice(loop: Instruction): number {
  return 1 + branchMoves(loop);
}

export function callPrice(type: FunctionType, target: "own" | "imported" | "dynamic"): number {
  const base = COST.call + moved(type.params.length + type.results.length);
  if (target === "own") return base + 1;
  return target === "imported" ? base + COST.hostCall : base;
}

export function returnPrice(type: FunctionType): number {
  return 1 + moved(type.results.length);
}

export function entryPrice(locals: number, size: number): number {
  // A large function pays for its compilation at each call: a unit for 8 bytes, beyond 16 KiB.
  return Math.floor(locals * COST.local) + (size > 16_384 ? Math.floor(size / 8) : 0);
}

/** Instructions whose price is fixed. */
export function plainPrice(code: number): number {
  if (code === 0x01 || code === 0x02 || code === 0x05 || code === 0x0b) return 0;
  if (code === 0x0e || code === 0x25) return 2;
  if (code === 0x26 || code === 0xd2) return COST.reference;
  const helper =
    code === 0x40 ||
    code === 0xfc08 ||
    code === 0xfc0a ||
    code === 0xfc0b ||
    code === 0xfc0c ||
    code === 0xfc0e ||
    code === 0xfc0f ||
    code === 0xfc11;
  return helper ? COST.call + COST.bulk : COST.plain;
}

/** What a bulk operation over `length` bytes is charged on top; each part of a long one is rounded down. */
export function bytesPrice(length: number): number {
  const whole = Math.floor(length / BULK_SPLIT_BYTES);
  const rest = length % BULK_SPLIT_BYTES;
  return whole * Math.floor(BULK_SPLIT_BYTES / COST.bulkBytesPerUnit) + Math.floor(rest / COST.bulkBytesPerUnit);
}

export function entriesPrice(length: number): number {
  return length * COST.bulkEntry;
}

/** What an attempt to grow is charged, if it is within the maximum and not empty. */
export function growPrice(units: number, each: number): number {
  return COST.grow + units * each;
}

export const GROW_PAGE: number = COST.growPage;
export const GROW_ENTRY: number = COST.bulkEntry;
