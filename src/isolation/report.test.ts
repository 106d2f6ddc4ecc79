import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { ProtocolError } from "./protocol.ts";
import { readReport, splitSections } from "./report.ts";

const DONE = { type: "done", id: 1, fuel: 1.5, inputBytes: 2, memoryBytes: 3, droppedLogs: 0, poisoned: false };

describe("readReport", () => {
  it("passes on what a report has, and nothing else", () => {
    const sections = [new Uint8Array(1), new Uint8Array(2)];
    const { header } = readReport({
      header: {
        ...DONE,
        output: true,
        variables: [
          ["v", 1],
          ["w", 0],
        ],
        extra: 1,
        entries: ["f"],
      },
      sections,
    });
    assert.deepEqual(header, {
      ...DONE,
      output: true,
      variables: [
        ["v", 1],
        ["w", 0],
      ],
    });
  });

  it("gives a report or a ProtocolError for any JSON", () => {
    const header = fc.record(
      { type: fc.constantFrom("booted", "done", "host", "http", "stdin", "log", "output", "result", "x"), id: fc.jsonValue(), values: fc.jsonValue(), level: fc.jsonValue(), message: fc.jsonValue(), error: fc.jsonValue(), variables: fc.jsonValue() }, // prettier-ignore
      { requiredKeys: ["type"] },
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.jsonValue(),
          header,
          header.map((value) => Object.assign({}, DONE, value)),
        ),
        (value) => {
          try {
            readReport({ header: value, sections: [] });
          } catch (error) {
            assert.ok(error instanceof ProtocolError, String(error));
          }
        },
      ),
    );
  });
});

describe("splitSections", () => {
  it("divides a packet's own sections from the values of variables", () => {
    const sections = [1, 2, 3].map((length) => new Uint8Array(length));
    const split = splitSections({
      header: {
        variables: [
          ["a", 1],
          ["b", 0],
          ["c", 1],
        ],
      },
      sections,
    });
    assert.deepEqual([split.own.map(({ length }) => length), split.values.map(({ length }) => length)], [[1], [2, 3]]);
    assert.deepEqual(splitSections({ header: {}, sections }).own, sections);
  });
});
