// The pages for people who come from other systems: what their right columns name exists.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { ERRORS } from "../../src/api/errors.ts";
import * as importConfig from "../../src/config/import/import-config.ts";
import { type JsonSchema, configJsonSchema } from "../../src/config/json-schema.ts";
import * as queryOptions from "../../src/config/query-options.ts";
import { parseConfig } from "../../src/config/read-config.ts";
import { standardHooks } from "../../src/hooks/standard/standard-hooks.ts";
import * as door from "../../src/index.ts";
import { Plugin } from "../../src/host/plugin.ts";
import { HELIOS_HOOKS as MANIFEST_HOOKS } from "../../src/manifest/helios-hooks.ts";
import { canonicalPermission, requestsOf } from "../../src/manifest/helios-permissions.ts";
import * as providers from "../../src/providers/index.ts";
import { Provider } from "../../src/providers/provider.ts";
import * as gateway from "../../src/gateway/index.ts";
import { methodsOf, routeOf } from "../../src/gateway/routes.ts";
import { SERVICES_MODULE } from "../../src/api/services.ts";
import { createServices } from "../../src/services/create-services.ts";
import { BIFROST_HOOKS, HELIOS_HOOKS, QUERYMT_REQUIRED, QUERYMT_THIRD } from "../../src/wasm/detect.ts";
import { runCli } from "../cli/run-cli.ts";
import { GUESTS } from "../../scripts/guests-table.ts";
import { readPage } from "./pages.ts";

const PAGES = ["querymt", "query", "helios", "bifrost"].map((name) => readPage(`docs/from-${name}.md`));

/** Words in a right column that are values, files, or names of the other system's that are the same here. */
const VALUES: ReadonlySet<string> = new Set(["true", "false", "null", "plugins", ".wasm", "-", "_", "custom", "custom_hook", "init", "abort"]);

/** Names in the right columns that plugins and clients of the gateway use, each held by the tests of its part. */
const OF_GATEWAY: ReadonlySet<string> = new Set([
  "provider/model",
  "base_url",
  "headers",
  "usage",
  "passthrough_request",
  "on_completion",
  "on_usage",
  "reads_flat",
  "allow_fallbacks",
  "extra_fields.retry_with",
]);

interface Row {
  readonly there: string;
  readonly here: string;
}

/** Rows of the tables "there, here" of a page. */
function rows(text: string): Row[] {
  const found: Row[] = [];
  let isTable = false;
  for (const line of text.split("\n")) {
    const cells = line.startsWith("|")
      ? line
          .slice(1, -1)
          .split(/(?<!\\)\|/)
          .map((cell) => cell.trim())
      : [];
    const [there = "", here = ""] = cells;
    if (cells.length === 0) isTable = false;
    else if (there === "there" && here === "here") isTable = true;
    else if (isTable && !there.startsWith("---")) found.push({ there, here });
  }
  return found;
}

const tokens = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, token = ""]) => token);

/** Paths of tables in the schema of a configuration, and the names of all keys. */
function schemaNames(schema: JsonSchema, path: string, tables: Set<string>, keys: Set<string>): void {
  for (const each of [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])]) schemaNames(each, path, tables, keys);
  if (schema.properties !== undefined) tables.add(path);
  for (const [key, inner] of Object.entries(schema.properties ?? {})) {
    keys.add(key);
    schemaNames(inner, path === "" ? key : `${path}.${key}`, tables, keys);
  }
  if (schema.items !== undefined) schemaNames(schema.items, path, tables, keys);
}

describe("Pages for people who come from other systems", () => {
  const tables = new Set<string>();
  const keys = new Set<string>();
  schemaNames(configJsonSchema(), "", tables, keys);
  const services = new Set<string>();
  const functions = new Set([
    ...Object.keys(door),
    ...Object.keys(providers),
    ...Object.keys(queryOptions),
    ...Object.keys(importConfig),
    ...Object.keys(gateway),
  ]);
  const exported = new Set([...BIFROST_HOOKS, ...HELIOS_HOOKS, ...QUERYMT_REQUIRED, ...QUERYMT_THIRD]);
  let commands = new Set<string>();

  it("name commands that there are", async () => {
    await using own = createServices();
    for (const name of Object.keys(own.forPlugin({ plugin: "p", permissions: {} }))) services.add(name);
    const groups = [[], ["config"], ["plugin"]];
    const helps = await Promise.all(groups.map((group) => runCli([...group, "--help"])));
    commands = new Set(
      helps.flatMap(({ stdout }, index) => {
        const listed = stdout.slice(stdout.indexOf("\nCommands:")).matchAll(/^ {2}([a-z]+)[ |]/gm);
        return [...listed].map(([, name = ""]) => ["mortise", ...(groups[index] ?? []), name].join(" "));
      }),
    );
    assert.ok(commands.has("mortise plugin import") && commands.has("mortise inspect"), [...commands].join());
    for (const { path, text } of PAGES)
      for (const [shown] of text.matchAll(/(?<=`|^)mortise [a-z]+(?: [a-z]+(?=`| [a-z./~]+ ))?/gm))
        assert.ok(commands.has(shown) || commands.has(shown.split(" ").slice(0, 2).join(" ")), `${path}: ${shown}`);
  });

  for (const { path, text } of PAGES) {
    it(`${path} has tables, and names nothing in their right columns that is not there`, () => {
      const all = rows(text);
      assert.ok(all.length > 20, String(all.length));
      const strange = all.flatMap(({ here }) => tokens(here).filter((token) => !exists(token)));
      assert.deepEqual(strange, []);
    });
  }

  function exists(token: string): boolean {
    if (VALUES.has(token) || OF_GATEWAY.has(token) || token === SERVICES_MODULE) return true;
    if (token.startsWith("MORTISE_")) return Object.hasOwn(ERRORS, token);
    if (token.startsWith("mortise ")) return commands.has(token);
    const table = /^\[\[?([\w.]+?)(\.NAME)?\]?\]$/.exec(token);
    // Tables under names of one's own are not in the schema by name.
    if (table !== null) return table[2] === undefined ? tables.has(table[1] ?? "") : keys.has(table[1]?.split(".").at(-1) ?? "");
    const hook = /^standardHooks\.(\w+)$/.exec(token)?.[1];
    if (hook !== undefined) return Object.hasOwn(standardHooks, hook);
    const method = /^(plugin|provider)\.(\w+)$/.exec(token);
    if (method !== null) return (method[1] === "plugin" ? Plugin : Provider).prototype[method[2] as "call" & "chat"] !== undefined;
    const path = /^(GET|POST) (\/\S+)$/.exec(token);
    if (path !== null) {
      const route = routeOf(path[2] ?? "");
      return route !== undefined && methodsOf(route).includes(path[1] ?? "");
    }
    // Plugins that are shipped, by the name of their source.
    if (token.startsWith("gateway_")) return GUESTS.some(({ name }) => name.replace(/\.\w+$/, "") === token);
    const key = /^(\w+)(?: = .+)?$/.exec(token)?.[1];
    if (key !== undefined && keys.has(key)) return true;
    // A reference to a secret, or a file beside a module.
    if (/^\{ (?:env|file) = "\w+" \}$/.test(token)) return true;
    return functions.has(token) || services.has(token) || exported.has(token);
  }

  it("shows permissions and settings as a configuration takes them", async () => {
    const lines = PAGES.flatMap(({ text }) => rows(text).flatMap(({ here }) => tokens(here).filter((token) => /^\w+ = .+$/.test(token))));
    assert.ok(lines.length > 10);
    for (const line of new Set(lines)) {
      const [key = ""] = line.split(" ");
      const place = ["kv", "cache", "metrics", "crypto", "clock", "databases", "hosts", "paths", "attributes"].includes(key) ? "permissions." : "";
      const filled = line.replace('"HOST"', '"example.com"').replace("NAME", "main");
      const databases = key === "databases" ? '\n[databases.main]\nkind = "sqlite"\npath = "x"\n' : "";
      await parseConfig(`[[plugins]]\nname = "a"\nsource = "a.wasm"\n${place}${filled}\n${databases}`);
    }
  });
});

describe("docs/from-helios.md", () => {
  const { text } = readPage("docs/from-helios.md");

  it("has every permission of HeliosProxy with what grants it", () => {
    const section = text.slice(text.indexOf("\n## Permissions"), text.indexOf("\n## Hooks"));
    const shown = new Map(rows(section).flatMap(({ there, here }) => tokens(there).map((name) => [name, tokens(here)[0]] as const)));
    const names = [
      "kv_read",
      "kv_write",
      "cache_read",
      "cache_write",
      "metrics",
      "metric_inc",
      "metric_gauge",
      "crypto",
      "cryptography",
      "query_execute",
      "query",
    ];
    for (const name of [
      ...names,
      "http_fetch",
      "http",
      "network",
      "filesystem_read",
      "fs_read",
      "filesystem_write",
      "fs_write",
      "config_read",
      "config",
    ])
      assert.equal(shown.get(name), requestsOf([canonicalPermission(name)])[0]?.grant, name);
  });

  it("has every hook", () => {
    const section = text.slice(text.indexOf("\n## Hooks"), text.indexOf("\n## The plugin's interface"));
    const shown = rows(section).flatMap(({ there, here }) => (here.startsWith("`standardHooks.") ? tokens(there) : []));
    assert.deepEqual(shown, HELIOS_HOOKS);
    assert.deepEqual([...new Set(MANIFEST_HOOKS.values())], HELIOS_HOOKS);
  });
});
