import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { HiddenSecrets } from "./hidden-secrets.ts";

describe("HiddenSecrets", () => {
  it("hides the secrets of former configurations until nothing uses them, and those of one that failed until the next is tried", () => {
    let hidden: readonly string[] = [];
    const secrets = new HiddenSecrets({ hide: (all) => void (hidden = all) });
    const first = secrets.begin(["a", "both"]);
    first.add(["plugin's"]);
    assert.deepEqual(hidden, ["a", "both", "plugin's"]);
    first.commit()();
    secrets.begin(["wrong"]);
    assert.deepEqual(hidden, ["a", "both", "plugin's", "wrong"]);
    const second = secrets.begin(["b", "both"]);
    assert.deepEqual(hidden, ["a", "both", "plugin's", "b"]);
    const secondSettled = second.commit();
    const third = secrets.begin(["c"]);
    assert.deepEqual(hidden, ["a", "both", "plugin's", "b", "c"]);
    const thirdSettled = third.commit();
    secondSettled();
    assert.deepEqual(hidden, ["b", "both", "c"]);
    thirdSettled();
    assert.deepEqual(hidden, ["c"]);
  });
});
