// docs/gateway.md has every option with its default, as the sources have them, and its paths are those that there are.
// UPDATE_SAMPLES=1 writes the tables anew.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

import { createGateway } from "mortise/gateway";

import { routeOf } from "../../src/gateway/routes.ts";
import { resolveLimits } from "../../src/gateway/options.ts";
import { resolveAttemptPolicy } from "../../src/gateway/policies/attempt-policy.ts";
import { resolveGate } from "../../src/gateway/policies/gate.ts";
import { resolveProviderBreaker } from "../../src/gateway/policies/provider-breaker.ts";
import { ROOT } from "../cli/run-cli.ts";
import { readPage } from "../docs/pages.ts";
import { OPTION_TABLES, optionRows, tablesText } from "./option-tables.ts";

const MARK = "test/gateway/reference.test.ts -->\n";
const PAGE = "docs/gateway.md";

const rowsOf = (wanted: string): ReturnType<typeof optionRows> => OPTION_TABLES.filter(({ name }) => name === wanted).flatMap(optionRows);
const namesOf = (...wanted: readonly string[]): string[] => wanted.flatMap(rowsOf).map(({ name }) => name);

/** A default as it is written: `10,000`, `16 MiB`. */
function amount(text: string): number {
  const [number = "", unit = ""] = text.split(" ");
  return Number(number.replaceAll(",", "")) * ({ KiB: 1024, MiB: 1 << 20 }[unit] ?? 1);
}

describe("docs/gateway.md", () => {
  const { text } = readPage(PAGE);

  it("has every option, with what is said of it and its default", () => {
    const start = text.indexOf(MARK) + MARK.length;
    assert.ok(start > MARK.length);
    if (process.env["UPDATE_SAMPLES"] === "1") writeFileSync(join(ROOT, PAGE), `${text.slice(0, start)}\n${tablesText()}`);
    else assert.equal(text.slice(start + 1), tablesText());
  });

  it("says something of every option, and the default of those that may be left out", () => {
    for (const table of OPTION_TABLES)
      for (const { name, isRequired, text: said, standard } of optionRows(table)) {
        assert.ok(said.length > 3, `${table.name}.${name}`);
        assert.equal(standard === undefined, isRequired, `${table.name}.${name}`);
      }
  });

  it("has the names that the gateway knows", async () => {
    const known = namesOf("GatewayOptions", "GatewaySetup", "GatewayAccess").toSorted();
    await assert.rejects(createGateway({ providers: {}, more: 1 } as never), (error: Error) => {
      const listed = /one of ([\w, ]+)$/.exec(error.message)?.[1]?.split(", ");
      assert.deepEqual(listed?.toSorted(), known);
      return true;
    });
  });

  it("has the defaults that hold", () => {
    const resolved: Readonly<Record<string, object>> = {
      GatewayLimits: resolveLimits(),
      AttemptOptions: resolveAttemptPolicy(),
      GateOptions: resolveGate(),
      BreakerOptions: resolveProviderBreaker() ?? {},
    };
    for (const [table, values] of Object.entries(resolved)) {
      const rows = rowsOf(table).filter(({ name }) => name !== "fallbackOn");
      const { fallbackOn: _all, ...numbers } = values as Readonly<Record<string, unknown>>;
      assert.deepEqual(Object.fromEntries(rows.map(({ name, standard = "" }) => [name, amount(standard)])), numbers, table);
    }
  });

  it("has paths that lead somewhere", () => {
    const section = text.slice(text.indexOf("\n## Paths"), text.indexOf("\n## Clients"));
    const paths = [...section.matchAll(/`(?:GET|POST) (\/[\w/]*)(?:ID)?`/g)].map(([, path = ""]) => (path.endsWith("/models/") ? `${path}x` : path));
    assert.ok(paths.length >= 8, paths.join(" "));
    for (const path of paths) assert.notEqual(routeOf(path), undefined, path);
  });
});
