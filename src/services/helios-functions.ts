// The host functions that HeliosProxy's plugins import: the four that it links, and the 22 that its documents name.

import { MortiseError, isMortiseError } from "../api/errors.ts";
import type { ServiceCall, ServiceTable, ServiceValue } from "../api/services.ts";
import type { Awaitable } from "../api/store.ts";
import { andThen } from "./define-service.ts";
import { type LinearAccess, writeRecord } from "./linear-record.ts";
import { tablesOf } from "./sql-tables.ts";
import { normalizeSql } from "./sql-text.ts";

/** A number that a plugin passes. */
export type HeliosValue = number | bigint;

/** One function, as plugins import it. */
export interface HeliosFunction {
  readonly module: string;
  readonly name: string;
  readonly params: readonly ("i32" | "i64" | "f64")[];
  readonly result: "i32" | "i64" | "none";
  /** False if it never answers with a promise, given services that do not; the service that it may wait for otherwise. */
  readonly waits: string | false;
  /** @throws MortiseError what stops the plugin's call: services that are denied or broken */
  run(services: ServiceTable, call: ServiceCall, memory: LinearAccess, values: readonly HeliosValue[]): Awaitable<HeliosValue | undefined>;
}

/** What plugins get instead of an address or a count. */
export const HELIOS_ERRORS = { badArgument: -1, tooSmall: -2, quota: -3 } as const;

/** Database that statements go to, since plugins cannot name one. */
const DATABASE = "main";
/** Keys that kv.list gives. */
const MAX_LISTED = 1000;
const MAX_SQL_BYTES = 64 << 10;
const { badArgument, tooSmall, quota } = HELIOS_ERRORS;
const encoder = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const NOTHING = new Uint8Array();

/** A length that cannot be, or bytes that are no UTF-8. */
class BadArgument extends Error {
  /** Which of the plugin's values it is about, counted from 1. */
  readonly position: number;

  constructor(position: number, reason: string) {
    super(reason);
    this.position = position;
  }
}

/** What one call of a function works with; the arguments are taken one after the other. */
class Frame {
  readonly #services: ServiceTable;
  readonly #call: ServiceCall;
  readonly memory: LinearAccess;
  readonly #values: readonly HeliosValue[];
  #at = 0;

  constructor(services: ServiceTable, call: ServiceCall, memory: LinearAccess, values: readonly HeliosValue[]) {
    this.#services = services;
    this.#call = call;
    this.memory = memory;
    this.#values = values;
  }

  number(): number {
    return Number(this.#values[this.#at++]);
  }

  long(): bigint {
    return BigInt.asIntN(64, BigInt(this.#values[this.#at++] ?? 0));
  }

  bytes(): Uint8Array {
    const address = this.number() >>> 0;
    const length = this.number() | 0;
    if (length < 0) throw new BadArgument(this.#at, `is the length ${length}`);
    return this.memory.read(address, length);
  }

  text(): string {
    const bytes = this.bytes();
    try {
      return strict.decode(bytes);
    } catch {
      throw new BadArgument(this.#at - 1, "does not point to valid UTF-8");
    }
  }

  wrong(service: string, { position, message }: BadArgument): MortiseError {
    const { plugin, function: fn } = this.#call;
    return new MortiseError("MORTISE_SERVICE_ARGUMENT", { plugin, function: fn, service, argument: String(position), reason: message });
  }

  service(name: string, ...values: ServiceValue[]): Awaitable<ServiceValue> {
    const service = this.#services[name];
    if (service === undefined) throw new RangeError(`no service ${name}`); // the table of a plugin has all of them
    return service.run(this.#call, ...values);
  }
}

type Work = (frame: Frame) => Awaitable<HeliosValue | undefined>;
type Param = HeliosFunction["params"][number];

const PAIR: readonly Param[] = ["i32", "i32"];

/**
 * A function whose result says what went wrong, as far as the plugin can do something about it.
 *
 * @param full what it gives where there is no room
 */
function answering(name: string, params: readonly Param[], waits: string | false, work: Work, full: number = quota): HeliosFunction {
  const settle = (error: unknown): number => {
    if (error instanceof BadArgument) return badArgument;
    if (!isMortiseError(error)) throw error;
    const { code } = error;
    if (code === "MORTISE_BAD_POINTER" || code === "MORTISE_SERVICE_ARGUMENT" || isBadStatement(error, name)) return badArgument;
    if (code === "MORTISE_STORE_QUOTA") return full;
    throw error;
  };
  return define(name, params, "i32", waits, (frame) => {
    try {
      const result = work(frame);
      return result instanceof Promise ? result.catch(settle) : result;
    } catch (error) {
      return settle(error);
    }
  });
}

/** To prepare a statement is to ask whether it is right. */
function isBadStatement({ code, details }: MortiseError, name: string): boolean {
  return name === "query.prepare" && code === "MORTISE_DATABASE_FAILED" && details["kind"] === "statement";
}

/** A function without a result: what goes wrong stops the call. */
function silent(name: string, params: readonly Param[], waits: string | false, work: Work): HeliosFunction {
  return define(name, params, "none", waits, (frame) => {
    try {
      return andThen(work(frame), () => undefined);
    } catch (error) {
      throw error instanceof BadArgument ? frame.wrong(name, error) : error;
    }
  });
}

function define(name: string, params: readonly Param[], result: HeliosFunction["result"], waits: string | false, work: Work): HeliosFunction {
  const dot = name.indexOf(".");
  return Object.freeze({
    module: name.slice(0, dot),
    name: name.slice(dot + 1),
    params,
    result,
    waits,
    run: (...given: Parameters<HeliosFunction["run"]>) => work(new Frame(...given)),
  });
}

/** Bytes as a record; nothing is 0. */
function record(memory: LinearAccess, value: Awaitable<ServiceValue>): Awaitable<number> {
  return andThen(value, (bytes) => (bytes === undefined ? 0 : writeRecord(memory, bytes as Uint8Array)));
}

function done(value: Awaitable<ServiceValue>): Awaitable<number> {
  return andThen(value, () => 0);
}

const asNumber = (value: Awaitable<ServiceValue>): Awaitable<number> => andThen(value, Number);

/** The four functions that HeliosProxy links, with exactly its results. */
const LINKED: readonly HeliosFunction[] = [
  answering("env.kv_get", ["i32", "i32", "i32", "i32"], "kv_get", (frame) => {
    const key = frame.text();
    const out = frame.number() >>> 0;
    const room = frame.number() | 0;
    if (room < 0) return badArgument;
    return andThen(frame.service("kv_get", key), (value) => {
      if (value === undefined) return badArgument;
      const bytes = value as Uint8Array;
      if (bytes.length > room) return tooSmall;
      frame.memory.write(out, bytes);
      return bytes.length;
    });
  }),
  answering(
    "env.kv_set",
    ["i32", "i32", "i32", "i32"],
    "kv_set",
    (frame) => done(frame.service("kv_set", frame.text(), frame.bytes(), 0n)),
    badArgument,
  ),
  answering("env.kv_delete", PAIR, "kv_delete", (frame) => done(frame.service("kv_delete", frame.text()))),
  answering("env.sha256_hex", ["i32", "i32", "i32"], false, (frame) => {
    const data = frame.bytes();
    const out = frame.number() >>> 0;
    return andThen(frame.service("hash", "sha256", data), (digest) => {
      const hex = encoder.encode(Buffer.from(digest as Uint8Array).toString("hex"));
      frame.memory.write(out, hex);
      return hex.length;
    });
  }),
];

/** The functions that its documents name. */
const DOCUMENTED: readonly HeliosFunction[] = [
  silent("helios.log", ["i32", "i32", "i32"], false, (frame) => done(frame.service("log", frame.number(), frame.text()))),
  silent("helios.metric_inc", ["i32", "i32", "f64"], false, (frame) => done(frame.service("metric_add", frame.text(), "", frame.number()))),
  silent("helios.metric_gauge", ["i32", "i32", "f64"], false, (frame) => done(frame.service("metric_set", frame.text(), "", frame.number()))),
  answering("helios.get_config", PAIR, false, (frame) => record(frame.memory, frame.service("config_get", frame.text()))),
  define("helios.get_time", [], "i64", false, (frame) => frame.service("time_ms") as Awaitable<bigint>),

  answering("query.execute", PAIR, "database_query", (frame) => record(frame.memory, frame.service("database_query", DATABASE, frame.text(), ""))),
  answering("query.prepare", PAIR, "database_query", (frame) => done(frame.service("database_query", DATABASE, `EXPLAIN ${frame.text()}`, ""))),
  answering("query.get_tables", PAIR, false, (frame) => writeRecord(frame.memory, encoder.encode(JSON.stringify(tablesOf(sqlOf(frame)))))),
  answering("query.normalize", PAIR, false, (frame) => writeRecord(frame.memory, encoder.encode(normalizeSql(sqlOf(frame))))),

  answering("cache.get", PAIR, false, (frame) => record(frame.memory, frame.service("cache_get", frame.text()))),
  silent("cache.set", ["i32", "i32", "i32", "i32", "i64"], false, (frame) =>
    done(frame.service("cache_set", frame.text(), frame.bytes(), frame.long())),
  ),
  silent("cache.delete", PAIR, false, (frame) => done(frame.service("cache_delete", frame.text()))),
  answering("cache.exists", PAIR, false, (frame) => asNumber(frame.service("cache_exists", frame.text()))),

  answering("http.fetch", PAIR, "http_request", (frame) =>
    record(frame.memory, frame.service("http_request", JSON.stringify({ url: frame.text() }), NOTHING)),
  ),
  answering("http.post", ["i32", "i32", "i32", "i32"], "http_request", (frame) =>
    record(frame.memory, frame.service("http_request", JSON.stringify({ url: frame.text(), method: "POST" }), frame.bytes())),
  ),

  answering("crypto.hash", ["i32", "i32", "i32", "i32"], false, (frame) => record(frame.memory, frame.service("hash", frame.text(), frame.bytes()))),
  answering("crypto.hmac", ["i32", "i32", "i32", "i32"], false, (frame) =>
    record(frame.memory, frame.service("hmac", "sha256", frame.bytes(), frame.bytes())),
  ),
  answering("crypto.random", ["i32"], false, (frame) => record(frame.memory, frame.service("random", frame.number()))),

  answering("kv.get", PAIR, "kv_get", (frame) => record(frame.memory, frame.service("kv_get", frame.text()))),
  answering("kv.set", ["i32", "i32", "i32", "i32"], "kv_set", (frame) => done(frame.service("kv_set", frame.text(), frame.bytes(), 0n))),
  answering("kv.delete", PAIR, "kv_delete", (frame) => done(frame.service("kv_delete", frame.text()))),
  answering("kv.list", PAIR, "kv_list", (frame) => record(frame.memory, frame.service("kv_list", frame.text(), "", MAX_LISTED))),
];

function sqlOf(frame: Frame): string {
  const sql = frame.text();
  if (Buffer.byteLength(sql) > MAX_SQL_BYTES) throw new BadArgument(2, `is more than ${MAX_SQL_BYTES} bytes`);
  return sql;
}

/** All host functions of HeliosProxy; docs/helios-functions.md says what each gives. */
export const HELIOS_FUNCTIONS: readonly HeliosFunction[] = Object.freeze([...LINKED, ...DOCUMENTED]);
