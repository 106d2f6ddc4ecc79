// Log lines, configuration, and secrets in either.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { LOG_LEVELS } from "../../src/api/guest-log.ts";
import type { ServiceHttp } from "../../src/services/http-function.ts";
import { MortiseError } from "../../src/api/errors.ts";
import { createServices } from "../../src/services/create-services.ts";
import { redactionOf } from "../../src/services/redaction.ts";
import { bytes, callOf, failure, now, nowIn, recorder, run, text } from "./calls.ts";

describe("log", () => {
  it("log reaches the logger at its level, from the one that is asked for", async () => {
    await using services = createServices();
    const logger = recorder();
    const table = services.forPlugin({ plugin: "p", logger, logLevel: "debug" });
    for (const index of LOG_LEVELS.keys()) now(table, "log", index, `line ${index}`);
    assert.deepEqual(logger.lines, ["debug: line 1", "info: line 2", "warn: line 3", "error: line 4"]);
  });

  it("log makes text safe to print and cuts long lines", async () => {
    await using services = createServices();
    const logger = recorder();
    const table = services.forPlugin({ plugin: "p", logger });
    now(table, "log", 2, "a\nERROR forged\u001b[2J\u202e");
    now(table, "log", 2, "x".repeat(20_000));
    assert.equal(logger.lines[0], "info: a\\nERROR forged\\u001b[2J\\u202e");
    assert.equal(logger.lines[1], `info: ${"x".repeat(8192)}…`);
  });

  it("log drops what is over the bytes of a call, with one notice a call, and counts it", async () => {
    await using services = createServices();
    const logger = recorder();
    let dropped = 0;
    const table = services.forPlugin({ plugin: "p", logger, logBytes: 100, onDroppedLog: () => dropped++ });
    const call = callOf();
    // A call may be described by a new object for each service: its signal says that it is the same.
    for (let index = 0; index < 10; index++) nowIn({ ...call }, table, "log", 2, "é".repeat(17));
    assert.deepEqual(
      logger.lines.map((line) => line.slice(0, 24)),
      ["info: ééééééééééééééééé", "info: ééééééééééééééééé", "warn: MORTISE_LOG_LIMIT:"],
    );
    assert.equal(dropped, 8);
    nowIn(callOf(), table, "log", 2, "new call");
    assert.equal(logger.lines.at(-1), "info: new call");
    for (let index = 0; index < 100; index++) nowIn(call, table, "log", 2, "");
    assert.equal(logger.lines.length, 4, "empty lines count, too");
  });

  it("log refuses levels and messages that are none", async () => {
    await using services = createServices();
    const table = services.forPlugin({ plugin: "p" });
    for (const level of [-1, 5, 0.5, Number.NaN]) await failure(() => now(table, "log", level, ""), "MORTISE_SERVICE_ARGUMENT");
    await failure(() => now(table, "log", 1, bytes("x")), "MORTISE_SERVICE_ARGUMENT");
  });

  it("log outlives a logger that fails, at once or later", async () => {
    await using services = createServices();
    const fails = (): never => {
      throw new Error("disk full");
    };
    const later = (): unknown => Promise.reject(new Error("disk full"));
    const logger = { trace: fails, debug: fails, info: fails, warn: later, error: fails };
    const table = services.forPlugin({ plugin: "p", logger });
    now(table, "log", 2, "x");
    now(table, "log", 3, "x");
    await new Promise((resolve) => setImmediate(resolve));
  });
});

describe("config", () => {
  it("config_get gives the plugin's own configuration alone", async () => {
    await using services = createServices();
    const table = services.forPlugin({
      plugin: "p",
      config: new Map([
        ["mode", "strict"],
        ["empty", ""],
      ]),
    });
    services.forPlugin({ plugin: "q", config: new Map([["other", "1"]]) });
    assert.deepEqual(
      ["mode", "empty", "other", "", "__proto__"].map((key) => text(now(table, "config_get", key))),
      ["strict", "", undefined, undefined, undefined],
    );
    await failure(() => now(table, "config_get", "k".repeat(5000)), "MORTISE_SERVICE_ARGUMENT");
  });
});

const SECRET = "hunter2-hunter2";

describe("secrets", () => {
  it("log hides secrets of 8 or more characters, also where a line is cut through one", async () => {
    await using services = createServices();
    const logger = recorder();
    const table = services.forPlugin({ plugin: "p", logger, secrets: [SECRET, "short", ""] });
    now(table, "log", 2, `key=${SECRET}, again ${SECRET}; short`);
    now(table, "log", 2, `${"x".repeat(8185)}${SECRET}`);
    assert.equal(logger.lines[0], "info: key=***, again ***; short");
    assert.ok(!logger.lines[1]?.includes("hunter"), logger.lines[1]?.slice(-40));
  });

  const refusing: ServiceHttp = {
    showsHeaders: true,
    request: async () => {
      throw new MortiseError(
        "MORTISE_HTTP_FAILED",
        { url: `https://x/?key=${SECRET}`, reason: "no", list: [{ deep: SECRET }], n: 5 },
        new Error(SECRET),
      );
    },
  };

  const CASES: readonly (readonly [code: string, service: string, ...values: (string | Uint8Array)[]])[] = [
    ["MORTISE_PERMISSION", "attribute_get", SECRET],
    ["MORTISE_SERVICE_ARGUMENT", "hash", SECRET, bytes("")],
    ["MORTISE_HTTP_FAILED", "http_request", "{}", bytes("")],
    ["MORTISE_DATABASE_FAILED", "database_query", "main", `SELECT '${SECRET}'`, ""],
  ];
  for (const [code, service, ...values] of CASES) {
    it(`${service} keeps secrets out of its errors`, async () => {
      const query = async (sql: string): Promise<never> => {
        throw new Error(`near ${sql}`);
      };
      await using services = createServices({ databases: { main: { kind: "custom", query } } });
      const permissions = { crypto: true, databases: { main: "read" } } as const;
      const table = services.forPlugin({ plugin: "p", permissions, secrets: [SECRET], http: refusing });
      const error = await failure(() => run(table, service, ...values), code);
      const shown = `${error.message} ${JSON.stringify(error)} ${String(error.stack)} ${String(error.cause)}`;
      assert.ok(!shown.includes(SECRET), shown);
      assert.ok(shown.includes("***"), shown);
    });
  }

  it("redactionOf hides secrets that overlap as one, and leaves the rest of any text", () => {
    const redaction = redactionOf(["abcdefgh", "efghijkl", "aaaaaaaa"]);
    assert.equal(redaction?.text("<abcdefghijkl>"), "<***>");
    assert.equal(redactionOf(["abcdefghij", "bcdefghi"])?.text("<abcdefghij>"), "<***>");
    assert.equal(redaction?.text(`-${"a".repeat(100_000)}-`), "-***-");
    assert.equal(redactionOf(["1234567"]), undefined);
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 40 });
    const secret = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 8, maxLength: 9 });
    fc.assert(
      fc.property(letters, fc.array(secret, { minLength: 1, maxLength: 3 }), (given, secrets) => {
        const hidden = redactionOf(secrets)?.text(given) ?? "";
        assert.ok(secrets.every((each) => !hidden.includes(each)));
        if (secrets.every((each) => !given.includes(each))) assert.equal(hidden, given);
      }),
    );
  });

  it("redactionOf gives an error without secrets as it is, and without a cause that holds one", () => {
    const error = new MortiseError("MORTISE_HTTP_FAILED", { url: "x", reason: "y", list: [1n] }, new Error("z"));
    assert.equal(redactionOf([SECRET])?.error(error), error);
    const caused = redactionOf([SECRET])?.error(new MortiseError("MORTISE_HTTP_FAILED", { url: "x", reason: "y" }, new Error(SECRET)));
    assert.equal((caused as Error).cause, undefined);
    const other = new Error(SECRET);
    assert.equal(redactionOf([SECRET])?.error(other), other);
  });
});
