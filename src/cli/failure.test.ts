import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { ERRORS, type ErrorCode, type ErrorDetails, MortiseError } from "../index.ts";
import { EXIT, exitCodeOf, hintOf, toMortiseError } from "./failure.ts";

describe("exitCodeOf", () => {
  it("tells for every code whether plugin, command line or module is at fault", () => {
    const codes = Object.keys(ERRORS) as ErrorCode[];
    const byExit = Object.groupBy(codes, (code) => String(exitCodeOf(new MortiseError(code))));
    assert.deepEqual(byExit[EXIT.usage], ["MORTISE_INVALID_OPTION", "MORTISE_UNKNOWN_FUNCTION", "MORTISE_BAD_SIGNATURE", "MORTISE_USAGE"]);
    // Everything that the table lists before a plugin is called, except for the option, and what can happen later as well.
    const others: ReadonlySet<ErrorCode> = new Set(["MORTISE_INVALID_OPTION", "MORTISE_ISOLATION_LOST"] satisfies ErrorCode[]);
    const loading = codes.slice(0, codes.indexOf("MORTISE_UNKNOWN_FUNCTION")).filter((code) => !others.has(code));
    // The rest keeps a plugin, or a file of the command's own, from being there at all.
    const later: readonly ErrorCode[] = [
      "MORTISE_PROVIDER_REFUSED",
      "MORTISE_VERSION_EXISTS",
      "MORTISE_PROBE_FAILED",
      "MORTISE_DEPENDENCY_MISSING",
      "MORTISE_DEPENDENCY_CYCLE",
      "MORTISE_AUDIT_UNREADABLE",
    ];
    assert.deepEqual(byExit[EXIT.unloadable], [...loading, ...later]);
  });
});

describe("hintOf", () => {
  const cases: readonly (readonly [code: ErrorCode, details: ErrorDetails, hint: string | undefined])[] = [
    ["MORTISE_FUEL", {}, "--fuel gives it more"],
    ["MORTISE_TRAP", {}, undefined],
    ["MORTISE_USAGE", { hint: "did you mean --json?" }, "did you mean --json?"],
    ["MORTISE_PERMISSION", { permission: "hosts", grant: 'hosts = ["HOST"]' }, "mortise call --allow-host HOST grants it"],
    ["MORTISE_PERMISSION", { permission: "kv", grant: 'kv = "read-write"' }, "mortise call --grant kv=read-write grants it"],
    ["MORTISE_PERMISSION", { permission: "crypto", grant: "crypto = true" }, "mortise call --grant crypto grants it"],
    ["MORTISE_PERMISSION", { permission: "databases" }, undefined],
    ["MORTISE_PERMISSION", {}, undefined],
    ["MORTISE_NATIVE_REFUSED", { grant: "native = …" }, "mortise call --allow-native runs it all the same"],
    ["MORTISE_NATIVE_REFUSED", {}, undefined],
    [
      "MORTISE_HTTP_DENIED",
      { reason: 'no entry covers it; the entry "a.example:81" in hosts would grant it' },
      "mortise call --allow-host a.example:81 grants it",
    ],
    [
      "MORTISE_HTTP_DENIED",
      { reason: 'it is this machine; the entry "[::1]" in hosts would grant it' },
      "mortise call --allow-host '[::1]' grants it",
    ],
    ["MORTISE_HTTP_DENIED", { reason: "it redirects from https: to http:" }, undefined],
  ];
  for (const [code, details, hint] of cases) {
    it(`knows what to do about ${code} with ${JSON.stringify(details)}`, () => assert.equal(hintOf(new MortiseError(code, details)), hint));
  }
});

describe("hintOf what a configuration names", () => {
  for (const [code, hint] of [
    ["MORTISE_FUEL", "fuel in its limits gives it more"],
    ["MORTISE_GC_HEAP", 'isolation = "process" runs it where it can do no harm'],
    ["MORTISE_PERMISSION", undefined],
  ] as const)
    it(`is no option of another command: ${code}`, () => assert.equal(hintOf(new MortiseError(code, { permission: "kv", grant: "kv" }), true), hint));
});

describe("toMortiseError", () => {
  it("keeps coded errors and calls all others defects", () => {
    const coded = new MortiseError("MORTISE_USAGE", { reason: "a" });
    assert.equal(toMortiseError(coded), coded);
    assert.equal(toMortiseError(new TypeError("x is undefined")).code, "MORTISE_INTERNAL");
    assert.equal(toMortiseError("text").message, "text; this is a defect of Mortise, please report it");
  });
});
