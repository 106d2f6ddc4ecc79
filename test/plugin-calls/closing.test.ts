// A host that is being closed: calls under way still reach the plugins that they depend on.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { guest } from "../hooks/guests.ts";
import { answer, answering, gate, open } from "../manager/hosts.ts";
import { loadCaller } from "./plugins.ts";

describe("host.close()", () => {
  it("lets a call under way call what its plugin depends on", async () => {
    const host = await open();
    const { hostFunctions, reached, open: go } = gate();
    await host.plugins.load(await guest({ check: { pauses: answer("held") } }), { name: "hold", hostFunctions });
    const caller = await loadCaller(host, "caller", ["hold:check"], { dependsOn: ["hold"] });
    const running = caller.call("repeat", "2\nhold\ncheck\n");
    await reached;
    const closed = host.close();
    go();
    assert.ok((await running).length > 0);
    await closed;
  });

  it("refuses calls of plugins that it does not have all the same", async () => {
    const host = await open();
    await host.plugins.load(await answering(1), { name: "base" });
    const caller = await loadCaller(host, "caller", ["gone:check"]);
    await assert.rejects(caller.call("call", "gone\ncheck\n"), { code: "MORTISE_PLUGIN_CALL_REFUSED" });
    await host.close();
  });
});
