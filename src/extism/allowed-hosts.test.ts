import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { isMortiseError } from "../api/errors.ts";
import { readAllowedHosts } from "./allowed-hosts.ts";

describe("readAllowedHosts", () => {
  const cases: readonly [what: string, list: string[] | null | undefined, entries: string[], globs: string[]][] = [
    ["nothing", undefined, [], []],
    ["null", null, [], []],
    ["a name", ["api.example.com"], ["api.example.com"], []],
    ["a name with a port", ["api.example.com:8080"], ["api.example.com:8080"], []],
    ["a star", ["*"], ["*"], []],
    ["a star with a port", ["*:8080"], ["*:8080"], []],
    ["subdomains", ["*.example.com"], ["*.example.com"], []],
    ["addresses", ["127.0.0.1", "[::1]", "[::1]:80"], ["127.0.0.1", "[::1]", "[::1]:80"], []],
    ["a private name", ["private:db.internal"], ["private:db.internal"], []],
    ["alternatives", ["{a,b}.example.com"], ["a.example.com", "b.example.com"], []],
    ["alternatives twice", ["{a,b}.{c,d}"], ["a.c", "a.d", "b.c", "b.d"], []],
    ["nested alternatives", ["{a,{b,c}}.d"], ["a.d", "b.d", "c.d"], []],
    ["alternatives of globs", ["{a*,b}.com"], ["b.com"], ["a*.com"]],
    ["a star in the middle", ["api.*.com"], [], ["api.*.com"]],
    ["a star at the end", ["127.*"], [], ["127.*"]],
    ["a part of a name", ["*example.com"], [], ["*example.com"]],
    ["two stars", ["**"], [], ["**"]],
    ["a question mark", ["API?.example.com"], [], ["api?.example.com"]],
    ["a class", ["[ab].example.com"], [], ["[ab].example.com"]],
    ["open braces", ["{a.com"], [], ["{a.com"]],
  ];
  for (const [what, list, entries, globs] of cases) {
    it(`reads ${what}`, () => assert.deepEqual(readAllowedHosts(list), { entries, globs }));
  }

  const refused: readonly [what: string, list: unknown][] = [
    ["a negation", ["!example.com"]],
    ["a negation inside", ["!(a|b).example.com"]],
    ["a negated class", ["[^a].example.com"]],
    ["a negated class of shells", ["[!a].example.com"]],
    ["alternatives of shells", ["@(a|b).example.com"]],
    ["a class with a name", ["[[:alpha:]].example.com"]],
    ["what is no text", [5]],
    ["null in the list", [null]],
    ["what is no list", "example.com"],
    ["more alternatives than anybody needs", ["{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}"]],
  ];
  for (const [what, list] of refused) {
    it(`refuses ${what} with MORTISE_INVALID_OPTION`, () => {
      assert.throws(
        () => readAllowedHosts(list as string[]),
        (error) => isMortiseError(error) && error.code === "MORTISE_INVALID_OPTION",
      );
    });
  }
});
