// Log lines that are kept, against a list of all of them.
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { LogBook } from "../../src/telemetry/log-book.ts";

const line = (plugin: string, message: string) => ({ plugin, level: "info", message }) as const;
const sizeOf = (message: string): number => 64 + message.length * 2;

describe("LogBook", () => {
  it("keeps the last lines of each plugin, within lines and bytes", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom("a", "b"), fc.string({ maxLength: 60 })), { maxLength: 100 }),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 64, max: 2000 }),
        (lines, logLines, logBytes) => {
          const book = new LogBook({ logLines, logBytes, allLogBytes: 1 << 20, maxPlugins: 4 }, () => 7);
          for (const [plugin, message] of lines) book.add(line(plugin, message));
          for (const plugin of ["a", "b"]) {
            const all = lines.filter(([name]) => name === plugin).map(([, message]) => message);
            const kept: string[] = [];
            // Lines that are too large push out all before them, and themselves.
            for (const message of all) {
              kept.push(message);
              while (kept.length > logLines || kept.reduce((sum, each) => sum + sizeOf(each), 0) > logBytes) kept.shift();
            }
            assert.deepEqual(
              book.lines(plugin),
              kept.map((message) => ({ time: 7, level: "info", message })),
            );
            assert.equal(book.dropped(plugin), all.length - kept.length);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it("takes from the plugin that has most where all have too much", () => {
    const book = new LogBook({ logLines: 1000, logBytes: 1 << 20, allLogBytes: sizeOf("x".repeat(10)) * 10, maxPlugins: 4 }, () => 0);
    book.add(line("quiet", "q".repeat(10)));
    for (let at = 0; at < 50; at++) book.add(line("loud", `${at}`.padStart(10)));
    assert.deepEqual([book.lines("quiet").length, book.lines("loud").length, book.dropped("loud")], [1, 9, 41]);
  });

  it("lines gives the last ones if it is told how many", () => {
    const book = new LogBook({ logLines: 3, logBytes: 1 << 20, allLogBytes: 1 << 20, maxPlugins: 4 }, () => 0);
    for (const message of ["a", "b", "c", "d", "e"]) book.add(line("p", message));
    const texts = (last?: number): string[] => book.lines("p", last).map(({ message }) => message);
    assert.deepEqual([texts(), texts(2), texts(9), texts(0)], [["c", "d", "e"], ["d", "e"], ["c", "d", "e"], []]);
    assert.deepEqual(book.lines("nobody"), []);
  });

  it("keeps lines of plugins that it has no room for together", () => {
    const book = new LogBook({ logLines: 3, logBytes: 1 << 20, allLogBytes: 1 << 20, maxPlugins: 2 }, () => 0);
    for (const plugin of ["a", "b", "c", "d"]) book.add(line(plugin, plugin));
    assert.deepEqual([book.lines("a").length, book.lines("c").length, book.lines("(others)").length], [1, 0, 2]);
  });
});
