// Reads values that a guest gave as JSON into what they must be.

import { MortiseError, printable } from "../api/errors.ts";

/** True for an object that is not an array. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value of a JSON text; undefined, which no JSON text has, if it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Who gave a value, for messages. */
export interface Giver {
  readonly plugin: string;
  readonly function: string;
}

/** Makes the errors of one output. */
export class ShapeReader {
  readonly #giver: Giver;

  constructor(giver: Giver) {
    this.#giver = giver;
  }

  /** The error for a value at a place. */
  fault(where: string, wanted: string): MortiseError {
    return new MortiseError("MORTISE_PROVIDER_OUTPUT", {
      plugin: this.#giver.plugin,
      function: this.#giver.function,
      reason: `${printable(where, 80)} must be ${wanted}`,
    });
  }

  record(value: unknown, where: string): Record<string, unknown> {
    if (!isRecord(value)) throw this.fault(where, "an object");
    return value;
  }

  list(value: unknown, where: string): readonly unknown[] {
    if (!Array.isArray(value)) throw this.fault(where, "a list");
    return value as readonly unknown[];
  }

  text(value: unknown, where: string): string {
    if (typeof value !== "string") throw this.fault(where, "text");
    return value;
  }

  /** A whole number from 0 to 2^32 - 1. */
  count(value: unknown, where: string): number {
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > 0xffff_ffff)
      throw this.fault(where, "a whole number of 32 bits");
    return value;
  }

  /** Null for null and for what is absent. */
  orNull<Value>(value: unknown, where: string, read: (value: unknown, where: string) => Value): Value | null {
    return value === undefined || value === null ? null : read(value, where);
  }
}
