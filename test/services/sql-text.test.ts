// SQL as text: the shape of statements, and the tables that they name.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { tablesOf } from "../../src/services/sql-tables.ts";
import { normalizeSql } from "../../src/services/sql-text.ts";

const SHAPES: Readonly<Record<string, string>> = {
  "SELECT  * FROM Users\n WHERE id=5 AND name = 'O''Brien';": "select * from users where id = ? and name = ?",
  "select 1, 1.5e-3, .5, 0xff, $1, ?, :name, E'\\'', N'x', $$a'b$$, $t$ $$ $t$": "select ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?",
  'select "Mixed ""Case""", x::int -- comment\n from a /* b /* c */ d */ where t.b in (1,2)':
    'select "Mixed ""Case""", x::int from a where t.b in(?, ?)',
  "select a[1], f(x), (b) from t;;": "select a[?], f(x), (b) from t",
  "": "",
  "--": "",
  "'not closed": "?",
  '"not closed': '"not closed"',
  "/* not closed": "",
  "select a1, 1a": "select a1, ? a",
};

/** Statements, and the tables they name. */
const TABLES: Readonly<Record<string, readonly string[]>> = {
  'select a from T1, s.t2 x, "Mixed" as m': ["t1", "s.t2", "Mixed"],
  "select * from a join b on a.x = b.x left join c using (y) cross join d, e": ["a", "b", "c", "d", "e"],
  "select * from (select 1) q, secret": ["secret"],
  "select * from generate_series(1, 2) g, secret": ["secret"],
  "select * from (a join b on true) x, c": ["a", "b", "c"],
  "select * from only (p), lateral (select * from q) z, unnest(array[1]) u, r": ["p", "q", "r"],
  "select (select max(a) from inner_t) from outer_t where exists (select 1 from third)": ["inner_t", "outer_t", "third"],
  "select extract(year from d), trim(both ' ' from n), substring(s from 2) from t": ["t"],
  "select a is distinct from b, c is not distinct from d from t": ["t"],
  "select distinct from t": ["t"],
  "with a as (select * from base), b (x) as not materialized (select 1) select * from a, b, other": ["base", "other"],
  "with secret as (select * from secret) select * from secret": ["secret"],
  "with recursive r as (select 1 union select * from r) select * from r": [],
  "select * from (with secret as (select 1) select 2) q, secret": ["secret"],
  "with s as (select 1) select 1; select * from s": ["s"],
  "with s as (select 1) select * from public.s": ["public.s"],
  "insert into log (a, b) select a, b from src on conflict (a) do update set b = 3": ["log", "src"],
  "update only s.t set a = 1 from u": ["s.t", "u"],
  "delete from a using b, c where a.x = b.y": ["a", "b", "c"],
  "merge into m using src on true": ["m", "src"],
  "select * from t for update": ["t"],
  "select * from t for no key update of t": ["t"],
  "copy t (a) from stdin": ["t", "stdin"],
  "truncate table a, b": ["a", "b"],
  "drop table if exists a, b": ["a", "b"],
  "create table if not exists n (a int)": ["n"],
  'select 1 from U&"d\\0061ta", "a"".""b"': ["data", 'a"."b'],
  "select 'from x', $$from y$$, \"from z\" -- from v\n/* from w */": [],
  "SELECT*FROM/**/t": ["t"],
  "select 1 from": [],
  "from t": [],
  "": [],
};

describe("normalizeSql", () => {
  for (const [sql, shape] of Object.entries(SHAPES))
    it(`normalizeSql gives the shape of ${JSON.stringify(sql)}`, () => assert.equal(normalizeSql(sql), shape));

  it("normalizeSql gives the same for statements that differ in literals, comments and spaces alone", () => {
    const literal = fc.oneof(
      fc.integer({ min: 0 }).map(String),
      fc.string().map((text) => `'${text.replaceAll("'", "''")}'`),
    );
    const space = fc.constantFrom(" ", "\n", "\t ", " /* x */ ", " -- y\n");
    fc.assert(
      fc.property(literal, literal, space, space, (a, b, one, two) => {
        assert.equal(normalizeSql(`SELECT${one}a FROM t WHERE b = ${a}${two}AND c = ${b}`), "select a from t where b = ? and c = ?");
      }),
    );
  });
});

describe("tablesOf", () => {
  for (const [sql, tables] of Object.entries(TABLES))
    it(`tablesOf finds the tables of ${JSON.stringify(sql)}`, () => assert.deepEqual(tablesOf(sql), tables));

  it("tablesOf finds a table whatever stands in front of it", () => {
    const piece = fc.constantFrom("(", ")", ",", ";", "select", "from", "with", "as", "x", "'", '"', "$$", "--\n", "/*", "*/", "update", "1");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        // Whatever is open is closed first, so that the rest is a statement of its own.
        const start = `${pieces.join(" ")} */ ' " $$ \n`.replace(/['"]|\$\$|\/\*/g, "");
        assert.ok(tablesOf(`${start}; select * from secret`).includes("secret"));
      }),
    );
  });

  it("tablesOf and normalizeSql end on any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (sql) => {
        tablesOf(sql);
        assert.equal(normalizeSql(normalizeSql(sql)).includes("'"), false);
      }),
    );
  });
});
