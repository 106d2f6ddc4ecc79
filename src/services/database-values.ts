// Values of databases as JSON: how parameters come in and rows go out.

/** A value as databases have it. */
export type DatabaseValue = null | string | number | bigint | Uint8Array;

/** Bounds of a result. */
export interface ResultLimits {
  readonly maxRows: number;
  /** Bytes of the JSON. */
  readonly maxBytes: number;
}

const MAX_INT = 2n ** 63n - 1n;
const MIN_INT = -(2n ** 63n);
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/**
 * Reads parameters: a JSON array of null, texts, numbers, booleans (as 1 and 0), `{"$bigint":"decimal"}` for integers beyond
 * 2^53, and `{"$bytes":"base64"}`. A text says what is wrong.
 */
export function readParameters(json: string, maxParameters: number): readonly DatabaseValue[] | string {
  if (json === "") return [];
  let given: unknown;
  try {
    given = JSON.parse(json);
  } catch {
    return "is not JSON";
  }
  if (!Array.isArray(given)) return "must be a JSON array";
  if (given.length > maxParameters) return `has ${given.length} values, but can have ${maxParameters} at most`;
  const values: DatabaseValue[] = [];
  for (const [index, item] of given.entries()) {
    const value = readValue(item);
    if (value === undefined) return `has a value at index ${index} that is no null, text, number, boolean, {"$bigint"} or {"$bytes"}`;
    values.push(value);
  }
  return values;
}

function readValue(item: unknown): DatabaseValue | undefined {
  if (item === null) return null;
  if (typeof item === "boolean") return item ? 1 : 0;
  if (typeof item === "string") return item.isWellFormed() ? item : undefined;
  // An integer beyond 2^53 was rounded by the parser: it is not what the guest wrote.
  if (typeof item === "number") return Number.isFinite(item) && (!Number.isInteger(item) || Number.isSafeInteger(item)) ? item : undefined;
  if (typeof item !== "object" || Object.keys(item).length !== 1) return undefined;
  const { $bigint, $bytes }: { $bigint?: unknown; $bytes?: unknown } = item;
  if (typeof $bigint === "string" && /^-?\d{1,19}$/.test($bigint)) {
    const value = BigInt($bigint);
    return value >= MIN_INT && value <= MAX_INT ? value : undefined;
  }
  if (typeof $bytes === "string" && BASE64.test($bytes)) return new Uint8Array(Buffer.from($bytes, "base64"));
  return undefined;
}

/** Puts a result together, row by row, as JSON `{"columns","rows","changes"}`. */
export class ResultWriter {
  readonly #limits: ResultLimits;
  readonly #columns: string;
  readonly #rows: string[] = [];
  #bytes: number;

  constructor(columns: readonly string[], limits: ResultLimits) {
    this.#columns = JSON.stringify(columns);
    this.#limits = limits;
    this.#bytes = Buffer.byteLength(this.#columns);
  }

  /** Takes a row; a text says which limit it passes. */
  add(row: readonly unknown[]): string | undefined {
    const { maxRows, maxBytes } = this.#limits;
    if (this.#rows.length >= maxRows) return `the result has more than ${maxRows} rows; add a LIMIT`;
    const json = JSON.stringify(row.map(toJsonValue));
    this.#bytes += Buffer.byteLength(json) + 1;
    if (this.#bytes > maxBytes) return `the result has more than ${maxBytes} bytes`;
    this.#rows.push(json);
    return undefined;
  }

  finish(changes: number): string {
    return `{"columns":${this.#columns},"rows":[${this.#rows.join(",")}],"changes":${changes}}`;
  }
}

/**
 * A value as JSON has it: integers beyond 2^53 as `{"$bigint":"decimal"}`, bytes as `{"$bytes":"base64"}`, the infinities as
 * `{"$number":"Infinity"}`; dates as ISO text, and other objects, which some databases give for JSON, as JSON text.
 */
function toJsonValue(value: unknown): unknown {
  if (value === undefined || value === null) return null;
  if (typeof value === "string") return value.toWellFormed();
  if (typeof value === "boolean") return value;
  if (typeof value === "number") return Number.isFinite(value) ? value : { $number: String(value) };
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : { $bigint: String(value) };
  }
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64") };
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (typeof value === "object") return JSON.stringify(value);
  // Functions and symbols are no data.
  return null;
}
