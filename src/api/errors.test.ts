import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import type * as ownCopy from "./errors.ts";
import { ERRORS, type ErrorCode, type ErrorDetails, MortiseError, isMortiseError, printable } from "./errors.ts";

const root = new URL("../../", import.meta.url);
const codes = Object.keys(ERRORS) as ErrorCode[];
const places = (code: ErrorCode): string[] => [...ERRORS[code].message.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? "");

describe("ERRORS", () => {
  const page = readFileSync(new URL("docs/errors.md", root), "utf8");
  const rows = page.split("\n").flatMap((line) => {
    const cells = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
    const code = /^`(MORTISE_\w+)`$/.exec(cells[1] ?? "")?.[1];
    return code === undefined ? [] : [{ code, status: Number(cells[2]), when: cells[3] ?? "", advice: cells[4] ?? "", cells: cells.length }];
  });

  it("stands in docs/errors.md, each code in one row and no other", () => {
    assert.deepEqual(rows.map((row) => row.code).toSorted(), codes.toSorted());
  });

  it("has the status that docs/errors.md says, which tells of each code when it happens and what to do", () => {
    for (const { code, status, when, advice, cells } of rows) {
      assert.equal(status, ERRORS[code as ErrorCode].status, code);
      assert.ok(cells === 6 && when.length > 20 && advice.length > 10, code);
      assert.ok(when.endsWith(".") && advice.endsWith("."), code);
    }
  });

  it("is not named in docs/errors.md by a code that it does not have", () => {
    for (const [code] of page.matchAll(/MORTISE_[A-Z_]+/g)) assert.ok(Object.hasOwn(ERRORS, code), code);
  });

  it("has 129 codes: a new one is added here as well, an old one is never removed", () => {
    assert.equal(codes.length, 129);
  });

  it("has codes in capitals, messages in sentence case without a final period, and statuses of failures", () => {
    for (const code of codes) {
      const { message, status } = ERRORS[code];
      assert.match(code, /^MORTISE_[A-Z]+(_[A-Z]+)*$/);
      assert.match(message, /^(Cannot|Stopped|Failed|Dropped|Refused|Gave up) |^\{reason\}/, code);
      assert.doesNotMatch(message, /\.$/, code);
      assert.ok(status >= 400 && status < 600, code);
    }
  });
});

/** The text of each `new MortiseError(…)` and `fail(…)`-like construction in the sources: code and keys of the details. */
interface Construction {
  readonly where: string;
  readonly code: ErrorCode;
  readonly keys: ReadonlySet<string>;
}

/** Splits at commas that stand outside of brackets and quotes. */
function splitArguments(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  let quote = "";
  let at = 0;
  for (; at < text.length; at++) {
    const char = text[at] as string;
    if (quote !== "") {
      if (char === "\\") at++;
      else if (char === quote) quote = "";
    } else if (char === '"' || char === "'" || char === "`") quote = char;
    else if ("([{".includes(char)) depth++;
    else if (")]}".includes(char)) {
      if (depth-- === 0) break;
    } else if (char === "," && depth === 0) {
      parts.push(text.slice(start, at).trim());
      start = at + 1;
    }
  }
  parts.push(text.slice(start, at).trim());
  return parts.filter((part) => part !== "");
}

/** Keys of an object as it is written; a spread stands for what its variable is declared with in the same file. */
function keysOf(object: string, source: string): string[] {
  const [, either, other] = /\?\s*(\{[^}]*\})\s*:\s*(\{[^}]*\})/.exec(object.startsWith("{") ? "" : object) ?? [];
  if (either !== undefined && other !== undefined) return keysOf(either, source).filter((key) => keysOf(other, source).includes(key));
  if (!object.startsWith("{")) return keysOfVariable(object, source);
  return splitArguments(object.slice(1)).flatMap((part) =>
    part.startsWith("...") ? keysOfVariable(part.slice(3), source) : [/^\w+/.exec(part)?.[0] ?? ""],
  );
}

function keysOfVariable(expression: string, source: string): string[] {
  const name = /^(?:this\.#)?(\w+)/.exec(expression)?.[1] ?? "";
  const declared = [
    ...source.matchAll(
      new RegExp(
        `(?:const ${name}(?::[^=]*)? = |(?:#|function )${name}\\(.*\\): \\{ (?:readonly )?plugin: string[^}]*\\} \\{\\s*return |\\b${name}: (?=\\{ plugin))\\{`,
        "g",
      ),
    ),
  ];
  return declared.flatMap((match) => keysOf(source.slice(match.index + match[0].length - 1), source)).filter((key) => key !== "");
}

function constructions(): Construction[] {
  const found: Construction[] = [];
  for (const file of globSync("src/**/*.ts", { cwd: fileURLToPath(root) })) {
    if (file.endsWith(".test.ts")) continue;
    const source = readFileSync(new URL(file, root), "utf8");
    for (const match of source.matchAll(/new MortiseError\(/g)) {
      const [code, details] = splitArguments(source.slice(match.index + match[0].length));
      if (code === undefined || !/^"\w+"$/.test(code)) continue; // a variable: see the test of the stop codes
      const line = source.slice(0, match.index).split("\n").length;
      found.push({
        where: `${file}:${line}`,
        code: code.slice(1, -1) as ErrorCode,
        keys: new Set(details === undefined ? [] : keysOf(details, source)),
      });
    }
  }
  return found;
}

describe("Every MortiseError in the sources", () => {
  const all = constructions();

  it("has a code of the table", () => {
    for (const { where, code } of all) assert.ok(Object.hasOwn(ERRORS, code), `${where}: ${code}`);
  });

  it("fills all places of its message", () => {
    const missing = all.flatMap(({ where, code, keys }) =>
      places(code)
        .filter((place) => !keys.has(place))
        .map((place) => `${where}: ${code} lacks {${place}}`),
    );
    assert.deepEqual(missing, []);
    assert.ok(all.length > 40, `${all.length} were found`);
  });

  it("is one for each code, but those that are chosen by a variable or belong to the command line", () => {
    const literal = new Set(all.map(({ code }) => code));
    const chosen = new Set([
      "MORTISE_FUEL",
      "MORTISE_TIMEOUT",
      "MORTISE_MEMORY_LIMIT",
      "MORTISE_TABLE_LIMIT",
      "MORTISE_STACK_OVERFLOW",
      "MORTISE_USAGE",
    ]);
    assert.deepEqual(
      codes.filter((code) => !literal.has(code) && !chosen.has(code)),
      [],
    );
  });
});

describe("MortiseError", () => {
  it("fills the places of its message from its details, with what is safe to print", () => {
    const error = new MortiseError("MORTISE_TRAP", { plugin: "p\n", function: "f", reason: "\u001b[2J", more: [1] });
    assert.equal(error.message, 'Stopped function "f" of plugin "p\\n": it trapped: \\u001b[2J');
    assert.deepEqual([error.name, error.code, error.status], ["MortiseError", "MORTISE_TRAP", 500]);
    assert.deepEqual(error.details, { plugin: "p\n", function: "f", reason: "\u001b[2J", more: [1] });
    assert.equal(error.cause, undefined);
    assert.equal("cause" in error, false);
  });

  it("puts nothing where a detail is missing, and takes no place from a detail's text", () => {
    assert.equal(
      new MortiseError("MORTISE_CLOSED", { function: "{plugin}" }).message,
      'Cannot call function "{plugin}" of plugin "": the plugin is closed',
    );
    assert.equal(
      new MortiseError("MORTISE_CLOSED", { function: "$&$1", plugin: "$$" }).message,
      'Cannot call function "$&$1" of plugin "$$": the plugin is closed',
    );
  });

  it("cuts each value of its message at 300 characters", () => {
    const { message } = new MortiseError("MORTISE_GUEST_ERROR", { plugin: "p", function: "f", reason: "x".repeat(10_000) });
    assert.ok(message.endsWith(`: ${"x".repeat(300)}…`));
  });

  it("keeps its cause", () => {
    const cause = new Error("below");
    assert.equal(new MortiseError("MORTISE_INTERNAL", { reason: "r" }, cause).cause, cause);
  });

  it("toJSON is plain data without a stack", () => {
    const error = new MortiseError("MORTISE_EXIT", { plugin: "p", function: "f", exitCode: 3 });
    assert.deepEqual(JSON.parse(JSON.stringify(error)), {
      code: "MORTISE_EXIT",
      message: error.message,
      details: { plugin: "p", function: "f", exitCode: 3 },
    });
    assert.deepEqual(structuredClone(error.toJSON()), error.toJSON());
    assert.equal(JSON.stringify(error).includes("errors.test.ts"), false);
  });
});

describe("isMortiseError", () => {
  it("knows errors of this copy and of any other", async () => {
    const copy = (await import(`${new URL("errors.ts", import.meta.url).href}?copy`)) as typeof ownCopy;
    assert.notEqual(copy.MortiseError, MortiseError);
    const foreign = new copy.MortiseError("MORTISE_CLOSED");
    assert.equal(foreign instanceof MortiseError, false);
    assert.equal(isMortiseError(foreign), true);
    assert.equal(copy.isMortiseError(new MortiseError("MORTISE_CLOSED")), true);
  });

  it("knows nothing else", () => {
    const others: unknown[] = [
      undefined,
      null,
      5,
      "MORTISE_CLOSED",
      {},
      new Error("x"),
      { code: "MORTISE_CLOSED" },
      new MortiseError("MORTISE_CLOSED").toJSON(),
      Symbol("x"),
      () => {},
    ];
    for (const other of others) assert.equal(isMortiseError(other), false);
  });
});

describe("printable", () => {
  it("escapes what could forge lines or rewrite a terminal, and nothing else", () => {
    const cases: readonly (readonly [value: unknown, shown: string])[] = [
      ["plain text é 😀 \u00a0 \u200d", "plain text é 😀 \u00a0 \u200d"],
      ["a\nb\r\tc", "a\\nb\\u000d\\u0009c"],
      ["\u0000\u001b\u007f\u0080\u009f", "\\u0000\\u001b\\u007f\\u0080\\u009f"],
      ["\u2028\u2029", "\\u2028\\u2029"],
      ["\u202a\u202e\u2066\u2069", "\\u202a\\u202e\\u2066\\u2069"],
      ["", ""],
      [undefined, "undefined"],
      [null, "null"],
      [5n, "5"],
      [-0, "0"],
      [Symbol("s"), "Symbol(s)"],
      [[1, 2], "1,2"],
    ];
    for (const [value, shown] of cases) assert.equal(printable(value), shown);
  });

  it("cuts at its limit, before it escapes", () => {
    assert.equal(printable("abcdef", 6), "abcdef");
    assert.equal(printable("abcdefg", 6), "abcdef…");
    assert.equal(printable("\n".repeat(400)), `${"\\n".repeat(300)}…`);
  });

  it("takes any value", () => {
    for (const value of [Object.create(null), { toString: () => { throw new Error("no"); } }, { toString: 5, valueOf: 5 }]) assert.equal(typeof printable(value), "string"); // prettier-ignore
  });

  it("is quick for long text", () => {
    const long = "\u001b".repeat(10_000_000);
    assert.equal(printable(long).length, 300 * 6 + 1);
  });
});

describe("ErrorDetails", () => {
  it("survive a clone", () => {
    const details: ErrorDetails = { plugin: "p", trace: [{ function: "f", offset: 3 }], limit: Number.POSITIVE_INFINITY };
    assert.deepEqual(structuredClone(new MortiseError("MORTISE_FUEL", details).details), details);
  });
});
