// Row: one call of each service, from inside of a guest.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { ServiceFunction, ServiceTable } from "../src/api/services.ts";
import { type Plugin, loadPlugin } from "../src/index.ts";
import { createServices } from "../src/services/create-services.ts";
import { createSqliteStore } from "../src/services/store/sqlite-store.ts";
import { assembleText } from "../test/wasm/assemble.ts";
import { type Case, type Samples, interleave, ratioOf, spread } from "./measure.ts";
import { type Result, type Row, type RowOptions, slower } from "./report.ts";

/** Calls of a service in one call of the guest: what a call of the guest costs disappears among them. */
const TIMES = 200;

/** What each service is called with: texts and numbers, in the order of its parameters. */
const SERVICES: Readonly<Record<string, readonly (string | number | bigint)[]>> = {
  kv_get: ["greeting"],
  kv_set: ["greeting", "Hello, World!", 0n],
  kv_increment: ["counter", 1n, 0n],
  kv_compare_and_set: ["greeting", "Hello, World!", "Hello, World!", 0n],
  cache_get: ["greeting"],
  cache_set: ["greeting", "Hello, World!", 0n],
  metric_add: ["requests", "", 1],
  time_ms: [],
  random: [16],
  hash: ["sha256", "Hello, World!"],
  hmac: ["sha256", "key", "Hello, World!"],
  config_get: ["greeting"],
  attribute_get: ["tenant"],
  request_id: [],
};

/** A guest that has the texts in blocks, and calls one service again and again. */
function guestText(name: string, { params, result }: ServiceFunction, values: readonly (string | number | bigint)[]): string {
  const texts = values.filter((value) => typeof value === "string");
  const type = params.map((param) => (param === "text" || param === "bytes" ? "i64" : param)).join(" ");
  const results = result === "none" ? "" : `(result ${result === "bytes" ? "i64" : result})`;
  let block = 0;
  const given = values.map((value, index) => {
    if (typeof value === "string") return `(local.get ${1 + block++})`;
    return `(${params[index]}.const ${value})`;
  });
  const stores = texts.map((text, index) => {
    const bytes = Array.from(new TextEncoder().encode(text));
    const writes = bytes.map((byte, at) => `(call $store (i64.add (local.get ${1 + index}) (i64.const ${at})) (i32.const ${byte}))`);
    return `(local.set ${1 + index} (call $alloc (i64.const ${bytes.length})))${writes.join("")}`;
  });
  const call = `(call $service ${given.join(" ")})`;
  return `(module
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "free" (func $free (param i64)))
    (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
    (import "mortise:host" "${name}" (func $service (param ${type}) ${results}))
    (memory (export "memory") 1)
    (func (export "run") (local i32 i64 i64 i64)
      ${stores.join("\n")}
      (loop
        ${result === "bytes" ? `(call $free ${call})` : result === "none" ? call : `(drop ${call})`}
        (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const ${TIMES}))))))`;
}

interface Contender extends Case {
  readonly close: () => Promise<void>;
}

/** Calls with a request context, as hooks do. */
function contender(name: string, plugin: Plugin, context: unknown): Contender {
  plugin.callSync("run", undefined, { context });
  return {
    name,
    run: (times) => {
      for (let left = times; left > 0; left--) plugin.callSync("run", undefined, { context });
    },
    close: () => plugin.close(),
  };
}

/** The least that crossing into the host can cost: a host function that does nothing. */
async function nothing(): Promise<Contender> {
  const text = guestText("nothing", { params: [], result: "i32", waits: false, run: () => 0 }, []).replaceAll("mortise:host", "extism:host/user");
  const plugin = await loadPlugin(await assembleText("nothing", text), { hostFunctions: { "extism:host/user": { nothing: () => 0 } } });
  return contender("nothing", plugin, undefined);
}

async function run({ effort }: RowOptions): Promise<Result[]> {
  const { RequestContext } = await import("../src/api/request.ts");
  const context = new RequestContext({ attributes: { tenant: "acme" } });
  const folder = await mkdtemp(join(tmpdir(), "mortise-bench-"));
  const memory = createServices();
  const store = createSqliteStore({ path: join(folder, "bench.sqlite") });
  const sqlite = createServices({ store });
  const load = async (name: string, table: ServiceTable, services: typeof memory): Promise<Plugin> => {
    const bytes = await assembleText(name, guestText(name, table[name] as ServiceFunction, SERVICES[name] ?? []));
    return loadPlugin(bytes, {
      name: "bench",
      services,
      config: { greeting: "Hello, World!" },
      permissions: { kv: "read-write", cache: "read-write", metrics: true, clock: true, crypto: true, attributes: { read: ["*"], write: ["*"] } },
    });
  };
  const table = memory.forPlugin({ plugin: "bench" });
  const cases: Contender[] = [await nothing()];
  for (const services of [memory, sqlite]) {
    await services.store.set("kv:bench", "greeting", new TextEncoder().encode("Hello, World!"));
  }
  for (const name of Object.keys(SERVICES)) cases.push(contender(name, await load(name, table, memory), context));
  for (const name of ["kv_get", "kv_set"]) cases.push(contender(`${name}, SQLite`, await load(name, table, sqlite), context));
  const samples = (await interleave(cases, effort)).map((sample) => sample.map((value) => value / TIMES));
  for (const item of cases) await item.close();
  await sqlite.close();
  await store.close();
  await memory.close();
  await rm(folder, { recursive: true });
  const floor = samples[0] as Samples;
  return samples.slice(1).map((sample, index) => slower(cases[index + 1]?.name ?? "", spread(sample), spread(floor), ratioOf(sample, floor)));
}

export const SERVICE: Row = {
  name: "services",
  title: "one call of a service",
  measures:
    "A guest calls a service 200 times in one call, and the time is divided: permission, checks, copies and the service's own work, in memory unless it says SQLite, against a host function that does nothing.",
  run,
};
