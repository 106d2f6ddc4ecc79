import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { ERRORS, type ErrorCode, MortiseError } from "../index.ts";
import { EXIT, exitCodeOf, toMortiseError } from "./failure.ts";

describe("exitCodeOf", () => {
  it("tells for every code whether plugin, command line or module is at fault", () => {
    const codes = Object.keys(ERRORS) as ErrorCode[];
    const byExit = Object.groupBy(codes, (code) => String(exitCodeOf(new MortiseError(code))));
    assert.deepEqual(byExit[EXIT.usage], ["MORTISE_INVALID_OPTION", "MORTISE_UNKNOWN_FUNCTION", "MORTISE_BAD_SIGNATURE", "MORTISE_USAGE"]);
    // Everything that the table lists before a plugin is called, except for the option.
    const loading = codes.slice(0, codes.indexOf("MORTISE_UNKNOWN_FUNCTION")).filter((code) => code !== "MORTISE_INVALID_OPTION");
    assert.deepEqual(byExit[EXIT.unloadable], loading);
  });
});

describe("toMortiseError", () => {
  it("keeps coded errors and calls all others defects", () => {
    const coded = new MortiseError("MORTISE_USAGE", { reason: "a" });
    assert.equal(toMortiseError(coded), coded);
    assert.equal(toMortiseError(new TypeError("x is undefined")).code, "MORTISE_INTERNAL");
    assert.equal(toMortiseError("text").message, "text; this is a defect of Mortise, please report it");
  });
});
