// dependsOn: what must be loaded first, what may not go, and what goes first at the end.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { guest } from "../hooks/guests.ts";
import { Lifecycles, type TestHost, answering, gate, open } from "./hosts.ts";

async function load(host: TestHost, name: string, dependsOn: readonly string[] = []): Promise<void> {
  await host.plugins.load(await answering(name), { name, dependsOn });
}

describe("LoadOptions.dependsOn", () => {
  it("refuses a plugin before those that it needs", async () => {
    await using host = await open();
    await assert.rejects(load(host, "a", ["b"]), {
      code: "MORTISE_DEPENDENCY_MISSING",
      message: 'Cannot load plugin "a": it depends on "b", which is not loaded',
    });
    await load(host, "b");
    await load(host, "a", ["b"]);
    assert.deepEqual([host.plugins.describe("a").dependsOn, host.plugins.describe("b").dependents], [["b"], ["a"]]);
  });

  it("refuses circles, with the way around", async () => {
    await using host = await open();
    await assert.rejects(load(host, "a", ["a"]), { code: "MORTISE_DEPENDENCY_CYCLE", message: /"a" → "a"$/ });
    await load(host, "a");
    await load(host, "b", ["a"]);
    await load(host, "c", ["b"]);
    await assert.rejects(host.plugins.reload("a", undefined, { dependsOn: ["c"] }), {
      code: "MORTISE_DEPENDENCY_CYCLE",
      message: /"a" → "c" → "b" → "a"$/,
    });
    assert.deepEqual(host.plugins.describe("a").dependsOn, []);
  });

  it("keeps what others need from being unloaded or disabled, and says who they are", async () => {
    await using host = await open();
    await load(host, "geoip");
    await load(host, "b", ["geoip"]);
    await load(host, "a", ["geoip"]);
    const refused = { code: "MORTISE_PLUGIN_NEEDED", message: 'Cannot unload plugin "geoip": "a", "b" depend on it' };
    await assert.rejects(host.plugins.unload("geoip"), refused);
    assert.throws(() => host.plugins.disable("geoip"), { code: "MORTISE_PLUGIN_NEEDED" });
    await host.plugins.reload("geoip", await answering("other"));
    await host.plugins.unload("a");
    await host.plugins.reload("b", undefined, { dependsOn: [] });
    await host.plugins.unload("geoip");
    assert.deepEqual(
      host.plugins.list().map(({ name }) => name),
      ["b"],
    );
  });

  it("belongs to a version: what serves keeps what it needs, what does not serve has to find it there", async () => {
    await using host = await open();
    await load(host, "geoip");
    await load(host, "a");
    await host.plugins.stage("a", await answering("two"), { version: "2", dependsOn: ["geoip"] });
    assert.deepEqual(host.plugins.describe("geoip").dependents, [], "what is staged serves nothing");
    for (const shares of [{ 2: 100 }, { 1: 99, 2: 1 }]) {
      host.plugins.split("a", shares);
      assert.deepEqual([host.plugins.describe("a").dependsOn, host.plugins.describe("geoip").dependents], [["geoip"], ["a"]]);
      await assert.rejects(host.plugins.unload("geoip"), { code: "MORTISE_PLUGIN_NEEDED" });
      assert.throws(() => host.plugins.disable("geoip"), { code: "MORTISE_PLUGIN_NEEDED" });
    }
    host.plugins.switchTo("a", "1");
    await host.plugins.unload("geoip");
    assert.throws(() => host.plugins.split("a", { 1: 50, 2: 50 }), {
      code: "MORTISE_DEPENDENCY_MISSING",
      message: 'Cannot switch plugin "a": it depends on "geoip", which is not loaded',
    });
    assert.equal(await host.hooks.check(1), "a");
    await load(host, "geoip");
    host.plugins.switchTo("a", "2");
  });

  it("is looked at when a version comes back", async () => {
    await using host = await open();
    await load(host, "geoip");
    await load(host, "a", ["geoip"]);
    await host.plugins.reload("a", await answering("two"), { dependsOn: [] });
    await host.plugins.unload("geoip");
    const message = 'Cannot roll back plugin "a": it depends on "geoip", which is not loaded';
    assert.throws(() => host.plugins.rollback("a"), { code: "MORTISE_DEPENDENCY_MISSING", message });
    await load(host, "geoip", ["a"]);
    assert.throws(() => host.plugins.rollback("a"), { code: "MORTISE_DEPENDENCY_CYCLE" });
    assert.equal(host.plugins.describe("a").version, "2", "nothing has changed");
    await host.plugins.unload("geoip");
    await load(host, "geoip");
    assert.equal(host.plugins.rollback("a"), "1");
    await assert.rejects(host.plugins.unload("geoip"), { code: "MORTISE_PLUGIN_NEEDED" });
  });

  it("is names", async () => {
    await using host = await open();
    for (const dependsOn of ["b", [1], [""]]) await assert.rejects(load(host, "a", dependsOn as never), { code: "MORTISE_INVALID_OPTION" });
  });
});

describe("host.close", () => {
  it("closes plugins after those that depend on them", async () => {
    const host = await open();
    using published = new Lifecycles();
    const { hostFunctions, reached, open: go } = gate();
    await load(host, "base");
    await host.plugins.load(await guest({ check: { pauses: "" } }), { name: "top", dependsOn: ["base"], hostFunctions });
    const run = host.hooks.tell(1).then(() => host.plugins.get("top")?.call("check"));
    await reached;
    const closed = host.close();
    await new Promise(setImmediate);
    assert.deepEqual(
      published.events.filter(({ to }) => to === "unloaded"),
      [],
      "base is still there for the call of top",
    );
    go();
    await Promise.all([run, closed]);
    assert.deepEqual(
      published.events.filter(({ to }) => to === "unloaded").map(({ plugin }) => plugin),
      ["top", "base"],
    );
  });
});
