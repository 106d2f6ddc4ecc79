// The manager does what the model says, whatever is asked of it in whatever order. `npm run soak` runs 100,000 sequences.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { TRANSITIONS, type VersionState } from "../../src/manager/state.ts";
import { runModel } from "./model.ts";

describe("HostPlugins", () => {
  it("agrees with its model over 4,000 random sequences of commands, with loads and calls under way", async () => {
    assert.ok((await runModel(4000, 20_261_121)) > 20_000);
  });
});

describe("TRANSITIONS", () => {
  it("lead from loading to every state, and from every state to one at which it ends", () => {
    const reach = (from: VersionState): Set<VersionState> => {
      const found = new Set<VersionState>([from]);
      for (const state of found) for (const next of TRANSITIONS[state]) found.add(next);
      return found;
    };
    const states = Object.keys(TRANSITIONS) as VersionState[];
    assert.deepEqual(reach("loading"), new Set(states));
    for (const state of states) assert.ok(reach(state).has("unloaded") || state === "failed" || reach(state).has("failed"), state);
  });
});
