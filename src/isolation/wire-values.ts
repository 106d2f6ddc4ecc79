// Values that JSON cannot hold, as JSON: numbers of host functions, limits, and errors.

import { ERRORS, type ErrorCode, MortiseError, isMortiseError } from "../api/errors.ts";
import type { WireError, WireValue } from "./protocol.ts";

const BIGINT = /^-?\d{1,20}n$/;
const SPECIAL: Readonly<Record<string, number>> = {
  "-0": -0,
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  "-Infinity": Number.NEGATIVE_INFINITY,
};
/** Longest text of an error's details: a guest's error message has 64 KiB at most. */
const MAX_DETAIL_CHARS = 70_000;
const MAX_FRAMES = 64;
const DETAIL_NAME = /^[a-z][A-Za-z]{0,31}$/;

/** A number or bigint for the wire. A bigint is taken modulo 2^64, as WebAssembly would. */
export function toWire(value: number | bigint): WireValue {
  if (typeof value === "bigint") return `${BigInt.asIntN(64, value)}n`;
  return Number.isFinite(value) && !Object.is(value, -0) ? value : Object.is(value, -0) ? "-0" : String(value);
}

/** What {@link toWire} was given; undefined for anything that it does not make. */
export function fromWire(value: unknown): number | bigint | undefined {
  if (typeof value === "number") return value;
  if (typeof value !== "string") return undefined;
  if (Object.hasOwn(SPECIAL, value)) return SPECIAL[value];
  return BIGINT.test(value) ? BigInt(value.slice(0, -1)) : undefined;
}

/** An error for the wire. Its cause stays where it is. */
export function errorToWire(error: unknown): WireError {
  if (!isMortiseError(error)) return { code: "MORTISE_INTERNAL", details: { reason: textOf(error) } };
  const details: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(error.details)) {
    // A number is marked, since text may look like one.
    details[name] = typeof value === "number" && !Number.isFinite(value) ? { number: toWire(value) } : value;
  }
  return { code: error.code, details };
}

/**
 * The error that a child reports; undefined if it is none. Nothing is taken over that a child should not say: details
 * are numbers, texts, truth values and the frames of a trace, and the plugin is the one that the host knows.
 */
export function errorFromWire(value: unknown, plugin: string, cause?: unknown): MortiseError | undefined {
  if (!isRecord(value) || typeof value["code"] !== "string" || !Object.hasOwn(ERRORS, value["code"]) || !isRecord(value["details"])) return undefined;
  const details: Record<string, unknown> = {};
  for (const [name, given] of Object.entries(value["details"])) {
    const detail = name === "trace" ? traceFromWire(given) : detailFromWire(given);
    if (detail !== undefined && DETAIL_NAME.test(name)) details[name] = detail;
  }
  if (Object.hasOwn(details, "plugin")) details["plugin"] = plugin;
  return new MortiseError(value["code"] as ErrorCode, details, cause);
}

function detailFromWire(value: unknown): unknown {
  if (typeof value === "string") return value.slice(0, MAX_DETAIL_CHARS);
  if (typeof value === "number" || typeof value === "boolean") return value;
  return isRecord(value) ? fromWire(value["number"]) : undefined;
}

function traceFromWire(value: unknown): unknown {
  if (!Array.isArray(value)) return undefined;
  const frames: { function: string; offset: number }[] = [];
  for (const frame of value.slice(0, MAX_FRAMES) as unknown[]) {
    if (!isRecord(frame)) continue;
    const { function: name, offset } = frame;
    if (typeof name === "string" && typeof offset === "number") frames.push({ function: name.slice(0, MAX_DETAIL_CHARS), offset });
  }
  return frames;
}

/** Any value as text, also one whose own conversion fails. */
export function textOf(value: unknown): string {
  try {
    const text: unknown = value instanceof Error ? value.message : value;
    return String(text).slice(0, MAX_DETAIL_CHARS);
  } catch {
    return typeof value;
  }
}

/** True for an object that is no list. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
