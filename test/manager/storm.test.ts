// Reloads under load: no request fails, is answered twice or by half of a version. `npm run soak` does it for a minute by the clock.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { reloadStorm } from "./reload-storm.ts";

describe("host.plugins.reload under load", () => {
  it("loses no request, and answers none twice or with a broken version", async () => {
    let rounds = 0;
    let begun = 0;
    const { requests, reloads, refused, wrong, instances } = await reloadStorm({
      next: async () => {
        await new Promise(setImmediate);
        rounds++;
        return begun <= 30 ? 4 : undefined;
      },
      isReloadDue: () => {
        if (rounds % 10 > 0) return false;
        begun++;
        return true;
      },
    });
    assert.deepEqual(wrong, []);
    assert.equal(reloads, 31);
    assert.ok(requests >= 1200, `${requests} requests`);
    assert.equal(Object.keys(refused).length, 6, JSON.stringify(refused));
    assert.equal(instances[1], instances[0]);
  });
});
