// Random steps, which a store and a simple model of one have to do alike.

import assert from "node:assert/strict";

import * as fc from "fast-check";

import { isMortiseError } from "../../src/api/errors.ts";
import type { Store } from "../../src/api/store.ts";
import { ModelStore } from "./model-store.ts";
import type { Subject } from "./store.conformance.ts";

const HOUR = 3_600_000;
const key = fc.constantFrom("", "a", "ab", "b", "\u{1f4a5}", "\uffff");
const value = fc.constantFrom("", "0", "7", "41", "some text", "9223372036854775807");
const expected = fc.option(value, { nil: undefined });
const ttlMs = fc.constantFrom(undefined, 60_000, 2 * HOUR);
const quota = fc.constantFrom(undefined, { maxKeys: 3, maxBytes: 1000 }, { maxKeys: 100, maxBytes: 25 });
const step = fc.oneof(
  fc.record({ do: fc.constant("set" as const), key, value, ttlMs, quota }),
  fc.record({ do: fc.constant("compare" as const), key, expected, value: expected, ttlMs, quota }),
  fc.record({ do: fc.constant("add" as const), key, delta: fc.constantFrom(1n, -50n, 10n ** 17n), ttlMs, quota }),
  fc.record({ do: fc.constant("get" as const), key }),
  fc.record({ do: fc.constant("delete" as const), key }),
  fc.record({ do: fc.constant("list" as const), prefix: key, after: expected, limit: fc.constantFrom(0, 1, 2, 100) }),
  fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(61_000, 3 * HOUR) }),
  fc.record({ do: fc.constant("usage" as const) }),
  fc.record({ do: fc.constant("clear" as const) }),
);
type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;

/** What is compared when the steps are over, whatever they were. */
const CLOSING: readonly Step[] = [{ do: "list", prefix: "", after: undefined, limit: 100 }, { do: "usage" }];

/** Does random steps in namespaces of their own, in a store and in the model. */
export async function checkSteps(fresh: () => Promise<Subject & { readonly space: string }>): Promise<void> {
  const run = fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
    const { store, space, advance } = await fresh();
    const model = new ModelStore();
    for (const one of [...steps, ...CLOSING]) {
      if (one.do === "wait") {
        await advance(one.ms);
        model.advance(one.ms);
        continue;
      }
      assert.deepEqual(await outcome(store, space, one), await outcome(model, space, one), one.do);
    }
  });
  await fc.assert(run, { numRuns: 150 });
}

type Action = Exclude<Step, { readonly do: "wait" }>;

async function outcome(at: Store | ModelStore, space: string, one: Action): Promise<unknown> {
  try {
    return await perform(at, space, one);
  } catch (error) {
    return isMortiseError(error) ? error.code : error;
  }
}

async function perform(at: Store | ModelStore, space: string, one: Action): Promise<unknown> {
  const bytes = (text: string | undefined): Uint8Array | undefined => (text === undefined ? undefined : Buffer.from(text));
  switch (one.do) {
    case "set":
      return at.set(space, one.key, Buffer.from(one.value), one);
    case "compare":
      return at.compareAndSet(space, one.key, bytes(one.expected), bytes(one.value), one);
    case "add":
      return at.increment(space, one.key, one.delta, one);
    case "get": {
      const found = await at.get(space, one.key);
      return found === undefined ? undefined : Buffer.from(found).toString();
    }
    case "delete":
      return at.delete(space, one.key);
    case "list":
      return at.list(space, { prefix: one.prefix, limit: one.limit, ...(one.after === undefined ? {} : { after: one.after }) });
    case "usage":
      return at.usage(space);
    case "clear":
      return at.clear(space);
  }
}
