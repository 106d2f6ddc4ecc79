// Runs a table of cases on the package and on the door: the outcome is the same, or a deviation with a name and a reason.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { type Create, door, v2 } from "./sdks.ts";

/** A case; what it gives, or throws, is compared. */
export interface Case {
  readonly name: string;
  readonly run: (create: Create) => Promise<unknown>;
  /** "same" unless the door differs: what each gives, and why. */
  readonly expect?: "same" | Deviation;
}

/** A difference that is meant to be. Texts of errors are compared up to the end of what is given here. */
export interface Deviation {
  readonly because: string;
  readonly door: unknown;
  /** Left out where the package does not come to an end, or takes its process with it. */
  readonly package?: unknown;
}

/** What a thrown value looks like: its class, and the beginning of its text. */
export function thrown(kind: string, text: string): unknown {
  return { thrown: `${kind}: ${text}` };
}

async function outcome(work: Promise<unknown>): Promise<unknown> {
  try {
    return plain(await work);
  } catch (error) {
    if (!(error instanceof Error)) return { thrown: String(error) };
    return { thrown: `${error.constructor.name}: ${error.message}` };
  }
}

/** Results as plain data, so that classes of the two packages compare. */
function plain(value: unknown): unknown {
  if (value instanceof DataView) return { output: new TextDecoder().decode(value) };
  if (Array.isArray(value)) return value.map(plain);
  return value;
}

function check(actual: unknown, wanted: unknown): void {
  const isThrown = (value: unknown): value is { thrown: string } => typeof value === "object" && value !== null && "thrown" in value;
  if (isThrown(actual) && isThrown(wanted)) assert.equal(actual.thrown.slice(0, wanted.thrown.length), wanted.thrown);
  else assert.deepEqual(actual, wanted);
}

/** Registers the tests of a table. */
export function compare(subject: string, cases: readonly Case[], peer: Create = v2): void {
  describe(subject, () => {
    for (const { name, run, expect = "same" } of cases) {
      const title = expect === "same" ? `${name}, as the package does` : `${name}, unlike the package: ${expect.because}`;
      it(title, async () => {
        const ours = await outcome(run(door));
        if (expect === "same") {
          assert.deepEqual(ours, await outcome(run(peer)));
          return;
        }
        check(ours, expect.door);
        if ("package" in expect) {
          const theirs = await outcome(run(peer));
          check(theirs, expect.package);
          assert.notDeepEqual(ours, theirs, "the deviation is none any more");
        }
      });
    }
  });
}
