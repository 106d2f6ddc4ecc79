// tomlPlaces: agrees with smol-toml on what there is, and says where it begins.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";
import { parse } from "smol-toml";

import type { PlaceNode } from "../../src/config/place-tree.ts";
import { locator } from "../../src/config/place-tree.ts";
import { tomlPlaces } from "../../src/config/toml-places.ts";
import type { Place } from "../../src/manifest/place.ts";

/** Every place of a value below the top. */
function placesOf(value: unknown, place: Place = []): Place[] {
  if (typeof value !== "object" || value === null || value instanceof Date) return place.length === 0 ? [] : [place];
  const members: [string | number, unknown][] = Array.isArray(value) ? [...(value as unknown[]).entries()] : Object.entries(value);
  return [...(place.length === 0 ? [] : [place]), ...members.flatMap(([key, member]) => placesOf(member, [...place, key]))];
}

function placesOfTree(node: PlaceNode, place: Place = []): { readonly place: Place; readonly offset: number }[] {
  const own = place.length === 0 ? [] : [{ place, offset: node.offset }];
  return [...own, ...[...node.children].flatMap(([key, child]) => placesOfTree(child, [...place, key]))];
}

const sorted = (places: readonly Place[]): string[] => places.map((place) => JSON.stringify(place)).toSorted();

/** The key that begins at an offset, as the parser itself reads it. */
function keyAt(text: string, offset: number): string | undefined {
  const token = /^(?:[\w-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')/.exec(text.slice(offset))?.[0];
  return token === undefined ? undefined : Object.keys(parse(`${token} = 1`))[0];
}

describe("tomlPlaces", () => {
  const space = fc.constantFrom("", " ", "\t", "  ");
  const line = fc.constantFrom("\n", "\r\n", "\n\n", ' # a comment [x] = "\n', "\n# = {\n");
  const name = fc.constantFrom("a", "b", "c", "plugins", "1", "x-y");
  const key = fc.oneof(name, fc.constantFrom('"a b"', "'q.u'", '"\\u0061"', '"\\"]"', "'#'", '""', '"="'));
  const dotted = fc.array(key, { minLength: 1, maxLength: 3 }).chain((keys) => space.map((gap) => keys.join(`${gap}.${gap}`)));
  const text = fc.constantFrom(
    '"x"',
    "'x'",
    '""',
    '"a\\"b"',
    '"]"',
    '"}"',
    '"""a\n"b" ]"""',
    "'''a\n'b' # }'''",
    '"""x"""""',
    "''''''",
    '"""\\\n  y"""',
    '"\\\\"',
  );
  const scalar = fc.oneof(text, fc.constantFrom("1", "-2.5", "true", "1979-05-27 07:32:00Z", "0xff", "inf", "07:32:00", "1_000"));
  const value = fc.letrec<{ value: string; array: string; table: string }>((tie) => ({
    value: fc.oneof({ maxDepth: 3 }, scalar, tie("array"), tie("table")),
    array: fc
      .tuple(fc.array(tie("value"), { maxLength: 3 }), fc.constantFrom("", " ", "\n", " # ]\n"), fc.boolean())
      .map(([items, gap, trailing]) => `[${gap}${items.join(`${gap},${gap}`)}${trailing && items.length > 0 ? "," : ""}${gap}]`),
    table: fc
      .tuple(fc.uniqueArray(fc.tuple(name, tie("value")), { maxLength: 3, selector: ([each]) => each }), space)
      .map(([items, gap]) => `{${gap}${items.map(([each, inner]) => `${each}${gap}=${gap}${inner}`).join(`,${gap}`)}${gap}}`),
  })).value;
  const statement = fc.oneof(
    { weight: 3, arbitrary: fc.tuple(dotted, space, value).map(([left, gap, right]) => `${left}${gap}=${gap}${right}`) },
    { weight: 1, arbitrary: fc.tuple(dotted, space).map(([path, gap]) => `[${gap}${path}${gap}]`) },
    { weight: 1, arbitrary: fc.tuple(dotted, space).map(([path, gap]) => `[[${gap}${path}${gap}]]`) },
  );
  const toml = fc.array(fc.tuple(space, statement, line), { maxLength: 8 }).map((parts) => parts.map((part) => part.join("")).join(""));

  it("finds the places that the parser finds, each at its key, in whatever the parser accepts", () => {
    let accepted = 0;
    fc.assert(
      fc.property(toml, (source) => {
        let parsed: unknown;
        try {
          parsed = parse(source);
        } catch {
          return;
        }
        accepted++;
        const tree = placesOfTree(tomlPlaces(source));
        assert.deepEqual(sorted(tree.map(({ place }) => place)), sorted(placesOf(parsed)), source);
        for (const { place, offset } of tree) {
          const last = place.at(-1);
          if (typeof last === "string") assert.equal(keyAt(source, offset), last, `${JSON.stringify(place)} in ${source}`);
          else assert.match(source.slice(0, offset), /(?:[[,](?:\s|#[^\n]*\n)*|(?:^|\n)[ \t]*)$/, `${JSON.stringify(place)} in ${source}`);
        }
      }),
      { numRuns: 3000 },
    );
    assert.ok(accepted > 500, `${accepted} were accepted`);
  });

  it("ends for any text, also for one that is no TOML", () => {
    const odd = fc.string({ unit: fc.constantFrom(...Array.from("[]{}\"'=.,#\n a\\")), maxLength: 40 });
    fc.assert(
      fc.property(odd, (source) => void tomlPlaces(source)),
      { numRuns: 3000 },
    );
  });

  it("takes the largest texts", () => {
    const largest = [
      "#\n".repeat(1 << 19),
      " \n#".repeat(1 << 18),
      "#".repeat(1 << 20),
      "a.".repeat(1 << 19),
      `a = [${"1,".repeat(1 << 19)}]`,
      '"'.repeat(1 << 20),
    ];
    for (const source of largest) assert.ok(tomlPlaces(`${source}\nlast = 1`).children.size > 0);
    assert.deepEqual([...tomlPlaces(`${"#\n".repeat(1 << 19)}last = 1`).children.keys()], ["last"]);
  });

  const text1 = [
    "# top",
    "title = 'x'",
    "",
    "[[plugins]]",
    'name = "a"',
    "limits.timeout_ms = 5",
    "[plugins.config]",
    "list = [",
    "  1,",
    "  { b = 2 },",
    "]",
    "[[ plugins ]]",
    "'name'='b'",
    "",
  ].join("\r\n");
  const locate = locator(text1, tomlPlaces);
  const cases: readonly (readonly [place: Place, line: number, column: number])[] = [
    [["title"], 2, 1],
    [["plugins"], 4, 3],
    [["plugins", 0], 4, 1],
    [["plugins", 0, "name"], 5, 1],
    [["plugins", 0, "limits"], 6, 1],
    [["plugins", 0, "limits", "timeout_ms"], 6, 8],
    [["plugins", 0, "config"], 7, 10],
    [["plugins", 0, "config", "list"], 8, 1],
    [["plugins", 0, "config", "list", 0], 9, 3],
    [["plugins", 0, "config", "list", 1, "b"], 10, 5],
    [["plugins", 1], 12, 1],
    [["plugins", 1, "name"], 13, 1],
  ];
  for (const [place, line_, column] of cases)
    it(`knows the line and column of ${place.join(".")}`, () => assert.deepEqual(locate(place), { line: line_, column }));

  it("knows nothing of what is not there", () => {
    for (const place of [["none"], ["plugins", 2], ["title", "x"], []]) assert.equal(locate(place), undefined);
  });
});
