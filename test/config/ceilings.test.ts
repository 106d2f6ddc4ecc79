// Ceilings: what is within them, and what a plugin that asks for more is told.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { isHostWithin } from "../../src/config/ceilings.ts";
import { parseConfig } from "../../src/config/read-config.ts";
import { problemsOf } from "./faults.ts";

const configOf = (ceilings: string, plugin: string): string => `[ceilings]\n${ceilings}\n[[plugins]]\nname = "a"\nsource = "a"\n${plugin}`;

describe("Ceilings of permissions", () => {
  const cases: readonly (readonly [ceiling: string, asked: string, place: string | undefined])[] = [
    ["hosts = ['*.example.com']", "hosts = ['a.example.com', 'b.a.example.com']", undefined],
    ["hosts = ['*.example.com']", "hosts = ['*.a.example.com']", undefined],
    ["hosts = ['*.example.com']", "hosts = ['example.com']", "hosts[0]"],
    ["hosts = ['*.example.com']", "hosts = ['notexample.com']", "hosts[0]"],
    ["hosts = ['*.example.com']", "hosts = ['*']", "hosts[0]"],
    ["hosts = ['*.example.com']", "hosts = ['private:a.example.com']", "hosts[0]"],
    ["hosts = ['private:*.example.com']", "hosts = ['a.example.com']", undefined],
    ["hosts = ['*']", "hosts = ['a.example.com', '*.b.org']", undefined],
    ["hosts = ['*']", "hosts = ['localhost']", "hosts[0]"],
    ["hosts = ['*']", "hosts = ['10.0.0.1']", "hosts[0]"],
    ["hosts = ['*:8443']", "hosts = ['a.example.com:8443']", undefined],
    ["hosts = ['*:8443']", "hosts = ['a.example.com']", "hosts[0]"],
    ["hosts = ['a.example.com']", "hosts = ['a.example.com:8443']", undefined],
    ["hosts = ['a.example.com']", "hosts = ['A.EXAMPLE.com']", undefined],
    ["hosts = ['a.example.com']", "hosts = ['a.example.com:25']", "hosts[0]"],
    ["hosts = []", "hosts = ['a.example.com']", "hosts[0]"],
    ["hosts = []", "", undefined],
    ["kv = 'read'", "hosts = ['a.example.com']", undefined],
    ["kv = 'read'", "kv = 'read-write'", "kv"],
    ["kv = 'read'", "kv = 'read'", undefined],
    ["cache = 'read-write'", "cache = 'read'", undefined],
    ["metrics = false", "metrics = true", "metrics"],
    ["metrics = true", "metrics = true", undefined],
    ["clock = false", "crypto = true", undefined],
    ["paths = { '/srv' = '/x' }", "paths = { '/srv/a' = '/a', '/srv' = '/b' }", undefined],
    ["paths = { '/srv' = '/x' }", "paths = { '/srvx' = '/a' }", 'paths["/srvx"]'],
    ["paths = { '/srv' = '/x' }", "paths = { '/srv/..' = '/a' }", 'paths["/"]'],
    ["paths = { '/srv' = '/x' }", "paths = { '/srv/../etc' = '/a' }", 'paths["/etc"]'],
    ["paths = { 'ro:/srv' = '/x' }", "paths = { '/srv' = '/a' }", 'paths["/srv"]'],
    ["paths = { 'ro:/srv' = '/x' }", "paths = { 'ro:/srv/a' = '/a', '/srv/b' = { guest = '/b', access = 'read-only' } }", undefined],
    ["paths = { '/srv' = { guest = '/x', access = 'read-only' } }", "paths = { '/srv' = { guest = '/x' } }", 'paths["/srv"]'],
    ["paths = {}", "paths = { '/srv' = '/a' }", 'paths["/srv"]'],
    ["call = ['geoip:*']", "call = ['geoip:lookup', 'geoip:*']", undefined],
    ["call = ['geoip:lookup']", "call = ['geoip:lookup', 'geoip:*']", "call[1]"],
    ["call = ['geoip:*']", "call = ['geo:lookup']", "call[0]"],
    ["call = []", "call = ['geoip:lookup']", "call[0]"],
    ["attributes = { read = ['user.*'] }", "attributes = { read = ['user.id', 'user.*', 'user.a.*'] }", undefined],
    ["attributes = { read = ['user.*'] }", "attributes = { read = ['use*'] }", "attributes.read[0]"],
    ["attributes = { read = ['user.*'] }", "attributes = { write = ['user.id'] }", "attributes.write[0]"],
    ["attributes = { read = ['a'] }", "attributes = { read = ['a*'] }", "attributes.read[0]"],
  ];
  for (const [ceiling, asked, place] of cases) {
    it(`${place === undefined ? "allow" : "refuse"} ${asked === "" ? "nothing" : asked} under ${ceiling}`, async () => {
      const text = configOf(`[ceilings.permissions]\n${ceiling}`, `[plugins.permissions]\n${asked}`);
      if (place === undefined) await parseConfig(text);
      else {
        const key = /^\w+/.exec(place)?.[0] ?? "";
        const [problem = "", ...others] = await problemsOf(text);
        assert.ok(problem.endsWith(`plugins[0].permissions.${place} is more than ceilings.permissions.${key} allows`), problem);
        assert.deepEqual(others, []);
      }
    });
  }

  it("hold for databases by name", async () => {
    const databases = "[databases]\na = { kind = 'sqlite', path = 'a' }\nb = { kind = 'sqlite', path = 'b' }\n";
    const text = configOf("permissions.databases.a = 'read'", "permissions.databases = { a = 'read-write', b = 'read' }");
    assert.deepEqual(await problemsOf(databases + text), [
      "9:27 plugins[0].permissions.databases.a is more than ceilings.permissions.databases allows",
      "9:45 plugins[0].permissions.databases.b is more than ceilings.permissions.databases allows",
    ]);
  });
});

describe("isHostWithin", () => {
  it("finds every entry within itself, and nothing but private ones beside a star", () => {
    const label = fc.stringMatching(/^[a-z]{1,3}$/);
    const name = fc.array(label, { minLength: 2, maxLength: 4 }).map((labels) => labels.join("."));
    const entry = fc.tuple(fc.constantFrom("", "*."), name, fc.constantFrom("", ":8443", ":9000"), fc.constantFrom("", "private:"));
    fc.assert(
      fc.property(entry, entry, ([star, host, port, reach], [otherStar, otherHost, otherPort, otherReach]) => {
        const whole = `${reach}${star}${host}${port}`;
        const other = `${otherReach}${otherStar}${otherHost}${otherPort}`;
        assert.ok(isHostWithin(whole, [other, whole]));
        if (!isHostWithin(whole, [other])) return;
        const isName = host === otherHost ? star === otherStar || star === "" : `.${host}`.endsWith(`.${otherHost}`);
        assert.ok(isName && (otherPort === "" || port === otherPort) && (reach === "" || otherReach === reach), `${whole} within ${other}`);
        assert.ok(otherStar === "*." || host === otherHost);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("Ceilings of limits", () => {
  const limitsOf = async (ceilings: string, plugin: string): Promise<unknown> => (await parseConfig(configOf(ceilings, plugin))).plugins[0]?.limits;

  it("hold where a plugin says nothing and the default would pass them, or a manifest could", async () => {
    assert.deepEqual(await limitsOf("limits = { memory_mb = 32, timeout_ms = 5000, fuel = 100 }", ""), {
      memoryBytes: 32 << 20,
      timeoutMs: 1000,
      fuel: 100,
    });
  });

  it("refuse what passes them, with the numbers as they are written", async () => {
    const asked = "limits = { memory_mb = 64, fuel = 'unlimited', timeout_ms = 5 }";
    assert.deepEqual(await problemsOf(configOf("limits = { memory_mb = 32.5, fuel = 100, timeout_ms = 5 }", asked)), [
      "6:12 plugins[0].limits.memory_mb is 64, but ceilings.limits.memory_mb allows 32.5",
      "6:28 plugins[0].limits.fuel is unlimited, but ceilings.limits.fuel allows 100",
    ]);
  });

  it("bound the initialisation by the time that a plugin has", async () => {
    assert.deepEqual(await limitsOf("limits.init_timeout_ms = 500", "limits.timeout_ms = 50"), { timeoutMs: 50, initTimeoutMs: 50 });
    assert.deepEqual(await limitsOf("limits.init_timeout_ms = 500", ""), { initTimeoutMs: 500 });
  });

  it("may be unlimited, which bounds nothing", async () => {
    assert.deepEqual(await limitsOf("limits.fuel = 'unlimited'", "limits.fuel = 'unlimited'"), { fuel: Number.POSITIVE_INFINITY });
  });

  it("bound defaults as well", async () => {
    assert.deepEqual(await problemsOf(configOf("limits.memory_mb = 32\n[defaults]\nlimits.memory_mb = 64", "")), [
      "4:8 defaults.limits.memory_mb is 64, but ceilings.limits.memory_mb allows 32",
    ]);
    assert.deepEqual(await limitsOf("limits.memory_mb = 32\n[defaults]\nlimits.memory_mb = 16", ""), { memoryBytes: 16 << 20 });
  });
});
