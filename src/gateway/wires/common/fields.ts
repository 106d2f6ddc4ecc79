// Reads JSON of clients and of models' servers into what it must be; every fault names the field that it is in.

import { type JsonObject, MortiseError, printable } from "mortise";

/** Where a value stands: a chain of keys, which becomes text only in a fault. */
export interface Path {
  readonly up: Path | undefined;
  readonly key: string | number;
}

/** The place of a key inside another place; no place is the body itself. */
export function at(up: Path | undefined, key: string | number): Path {
  return { up, key };
}

/** As in `messages[2].content[0].image_url.url`. */
export function placeText(path: Path | undefined): string | undefined {
  if (path === undefined) return undefined;
  const { up, key } = path;
  if (typeof key === "number") return `${placeText(up) ?? ""}[${key}]`;
  return up === undefined ? key : `${placeText(up)}.${key}`;
}

/** True for an object that is no list. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** True for what a client that leaves a field out may write as well. */
export function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

function kindOf(value: unknown): string {
  if (value === undefined) return "missing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  if (typeof value === "string") return value === "" ? "empty" : "text";
  return typeof value === "number" ? "a number" : "true or false";
}

type Reader<Value> = (value: unknown, path: Path) => Value;

/** Reads fields of one kind of document; what is wrong is an error with one code. */
export class Fields {
  readonly #code: "MORTISE_GATEWAY_REQUEST" | "MORTISE_GATEWAY_UPSTREAM";

  constructor(code: "MORTISE_GATEWAY_REQUEST" | "MORTISE_GATEWAY_UPSTREAM") {
    this.#code = code;
  }

  /** The error for a place; `reason` goes on after its name. */
  fault(path: Path | undefined, reason: string): MortiseError {
    const param = placeText(path);
    return new MortiseError(this.#code, { what: param ?? "the body", ...(param === undefined ? {} : { param }), reason });
  }

  /** The error for a value that is something else than it must be. */
  mismatch(value: unknown, path: Path | undefined, wanted: string): MortiseError {
    return this.fault(path, `must be ${wanted}, but is ${kindOf(value)}`);
  }

  readonly object = (value: unknown, path: Path | undefined): JsonObject => {
    if (!isObject(value)) throw this.mismatch(value, path, "an object");
    return value;
  };

  readonly list = (value: unknown, path: Path): readonly unknown[] => {
    if (!Array.isArray(value)) throw this.mismatch(value, path, "a list");
    return value as readonly unknown[];
  };

  /** Text, empty too. */
  readonly text = (value: unknown, path: Path): string => {
    if (typeof value !== "string") throw this.mismatch(value, path, "text");
    return value;
  };

  /** Text that is not empty. */
  readonly name = (value: unknown, path: Path): string => {
    if (typeof value !== "string" || value === "") throw this.mismatch(value, path, "text that is not empty");
    return value;
  };

  readonly number = (value: unknown, path: Path): number => {
    if (typeof value !== "number" || !Number.isFinite(value)) throw this.mismatch(value, path, "a number");
    return value;
  };

  /** A whole number from 0. */
  readonly count = (value: unknown, path: Path): number => {
    if (!Number.isSafeInteger(value) || (value as number) < 0) throw this.mismatch(value, path, "a whole number from 0");
    return value as number;
  };

  /** A whole number from 1. */
  readonly positive = (value: unknown, path: Path): number => {
    if (!Number.isSafeInteger(value) || (value as number) < 1) throw this.mismatch(value, path, "a whole number from 1");
    return value as number;
  };

  readonly flag = (value: unknown, path: Path): boolean => {
    if (typeof value !== "boolean") throw this.mismatch(value, path, "true or false");
    return value;
  };

  readonly texts = (value: unknown, path: Path): readonly string[] => {
    const list = this.list(value, path);
    for (let index = 0; index < list.length; index++) this.text(list[index], at(path, index));
    return list as readonly string[];
  };

  oneOf<const Value extends string>(value: unknown, path: Path, values: readonly Value[]): Value {
    const found = values.find((one) => one === value);
    if (found !== undefined) return found;
    const wanted = `one of ${values.join(", ")}`;
    throw typeof value === "string" ? this.fault(path, `must be ${wanted}`) : this.mismatch(value, path, wanted);
  }

  /** Undefined for what is absent or null. */
  given<Value>(value: unknown, path: Path, read: Reader<Value>): Value | undefined {
    return isAbsent(value) ? undefined : read(value, path);
  }

  /** The error for one that a server told in place of an answer or inside a stream, which is `details.error`. */
  toldError(error: JsonObject): MortiseError {
    const { message } = error;
    const said = typeof message === "string" ? `: ${printable(message)}` : "";
    return new MortiseError(this.#code, { what: "the answer", reason: `is an error${said}`, error });
  }

  /** A JSON text of a value. The engine gives up on what is nested thousands of levels deep. */
  json(value: unknown, path: Path | undefined): string {
    try {
      return JSON.stringify(value) ?? "null";
    } catch {
      throw this.fault(path, "is nested too deeply");
    }
  }
}

/** For what clients send: MORTISE_GATEWAY_REQUEST. */
export const REQUEST = new Fields("MORTISE_GATEWAY_REQUEST");
/** For what models' servers answer: MORTISE_GATEWAY_UPSTREAM. */
export const ANSWER = new Fields("MORTISE_GATEWAY_UPSTREAM");
