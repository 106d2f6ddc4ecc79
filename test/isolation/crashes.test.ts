// A place that crashes, or is in its guest's hands: the call that runs gets a coded error, and nothing is left.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { MortiseError } from "../../src/index.ts";
import { resolveLimits } from "../../src/api/limits.ts";
import { DEFAULT_REMOTE_POOL, type PluginBlueprint } from "../../src/isolation/blueprint.ts";
import type { PlaceConfig, PlaceKind } from "../../src/isolation/place.ts";
import { startProcess } from "../../src/isolation/process-place.ts";
import { Session } from "../../src/isolation/session.ts";
import { startThread } from "../../src/isolation/thread-place.ts";

const HOSTILE = new URL("./hostile-child.ts", import.meta.url);
const MIB = 1 << 20;
const CONFIG: PlaceConfig = { heapBytes: 32 * MIB, dataBytes: 900 * MIB, packetBytes: MIB, readPaths: [], writePaths: [] };

/** Loads the plugin of a name into a hostile child and calls it; what the call came to. */
async function provoke(kind: PlaceKind, name: string, input: Uint8Array<ArrayBuffer> = new Uint8Array(0)): Promise<Outcome> {
  const started = kind === "thread" ? startThread(CONFIG, HOSTILE) : startProcess(CONFIG, HOSTILE);
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  const variables = new Map<string, Uint8Array<ArrayBuffer>>();
  let hostError: unknown;
  const blueprint: PluginBlueprint = {
    state: {
      name,
      limits: resolveLimits({ outputBytes: 1000, varBytes: 1000, logBytes: 1000 }),
      config: new Map(),
      configJson: "{}",
      provided: { "mortise:host": { keep: { params: ["i64", "i32"], results: [], waits: false, run: () => undefined } } },
      variables,
      variableBytes: 0,
      logger: { trace: write, debug: write, info: write, warn: write, error: write },
      logLevel: 0,
      hostFunctions: {
        host: {
          store(context) {
            try {
              return context.store("five");
            } catch (error) {
              hostError = error;
              throw error;
            }
          },
        },
      },
      http: undefined,
      clock: () => performance.now(),
      droppedLogs: 0,
    },
    abi: "extism",
    modules: [],
  };
  started.hold();
  await new Promise<void>((resolve, reject) => {
    started.listen({ onPacket: () => resolve(), onLoss: ({ reason }) => reject(new Error(reason)) });
  });
  const session = new Session(started, blueprint, { ...DEFAULT_REMOTE_POOL, graceMs: 200, stallMs: 100 });
  let losses = 0;
  session.onLost = () => losses++;
  const order = (type: "load" | "call", timeoutMs: number): Parameters<Session["request"]>[0] => ({
    function: type === "call" ? "f" : undefined,
    context: undefined,
    timeoutMs,
    statedMs: timeoutMs,
    header: { type, name, entry: "f", bytes: true } as never,
    sections: type === "call" ? [input] : [],
  });
  await session.request(order("load", 20_000));
  const error: unknown = await session.request(order("call", name === "late" ? -40 : TIMED.has(name) ? 300 : 20_000)).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  const { lost } = session;
  session.end();
  await session.exited;
  const next: unknown = await session.request(order("call", 1000)).catch((reason: unknown) => reason);
  return { error: error as MortiseError, lost, losses, next, lines, variables: variables.size, hostError };
}

interface Outcome {
  /** Undefined if the call succeeded. */
  readonly error: MortiseError;
  readonly lost: boolean;
  readonly losses: number;
  readonly next: unknown;
  readonly lines: readonly string[];
  readonly variables: number;
  readonly hostError: unknown;
}

/** Deeds that the deadline ends. */
const TIMED = new Set(["silent", "deaf"]);

const ENDS: readonly (readonly [kind: PlaceKind, name: string, reason: RegExp])[] = [
  ["process", "exit", /^it exited with code 3$/],
  ["process", "exit-in-frame", /^it exited with code 0$/],
  ["process", "kill", /^it was ended by SIGKILL$/],
  ["process", "abort", /^it was ended by SIG(ABRT|TRAP|ILL)/],
  ["process", "throw", /^it exited with code 1; it said: .*a defect/],
  ["process", "complain", /^it exited with code 1; it said: complaint 0 \\u001b\[2J\\ncomplaint 1 /],
  ["process", "close-pipe", /^it was ended by SIGKILL$/],
  ["thread", "exit", /^it exited with code 3$/],
  ["thread", "throw", /^a defect$/],
];

const BREACHES: readonly (readonly [name: string, reason: string])[] = [
  ["garbage", "a packet is too large"],
  ["huge-header", "a packet is too large"],
  ["many-sections", "a packet is too large"],
  ["huge-section", "a packet has 4294967295 bytes, but 1048576 are the most"],
  ["no-json", "the header of a packet is not JSON"],
  ["no-text", "the header of a packet is not JSON"],
  ["no-object", "a header is no object"],
  ["no-type", "a text is none"],
  ["type-of-prototype", 'a report of the unknown type "toString"'],
  ["another-order", "an order is done that was not given"],
  ["booted-again", 'a report of type "booted" that nobody asked for'],
  ["unasked-result", 'a report of type "result" that nobody asked for'],
  ["negative-fuel", '"fuel" is no amount'],
  ["text-for-memory", '"memoryBytes" is no whole number from 0 to 9007199254740991'],
  ["missing-output", "a report with 0 sections instead of 1"],
  ["surplus-section", "a report with 1 sections instead of 0"],
  ["large-output", "its output is larger than limits.outputBytes"],
  ["unknown-error", "it reports an error that there is not"],
  ["error-without-details", '"error" is no error'],
  ["unknown-function", "a call of a host function that there is not"],
  ["service-of-few-values", "a call with 1 values instead of 2"],
  ["service-of-a-number", "a value is no i64"],
  ["service-of-a-wide-number", "a value is no i64"],
  ["service-of-a-fraction", "a value is no i32"],
  ["function-of-prototype", '"index" is no whole number from 0 to 9007199254740991'],
  ["no-number", "a value is no number"],
  ["block-of-no-argument", "a block of an argument that there is not"],
  ["http-unasked", "an HTTP request that nobody performs"],
  ["log-flood", "it logs more than limits.logBytes allows"],
  ["log-level", '"level" is no whole number from 0 to 4'],
  ["variable-flood", "its variables take more than limits.varBytes allows"],
  ["variable-of-nothing", "a change of a variable says neither 0 nor 1"],
  ["no-answer-to-operation", "it did not answer within 100 ms"],
  ["half-answer-to-operation", "it did not answer within 100 ms"],
  ["two-answers-to-operation", "two packets where one was asked for"],
];

describe("A place that ends", () => {
  for (const [kind, name, reason] of ENDS) {
    it(`fails the call with MORTISE_ISOLATION_LOST: ${kind}, ${name}`, async () => {
      const { error, lost, losses, next } = await provoke(kind, name);
      assert.equal(error.code, "MORTISE_ISOLATION_LOST");
      const { plugin, function: fn, place } = error.details;
      assert.deepEqual([plugin, fn, place], [name, "f", kind]);
      assert.match(String(error.details["reason"]), reason);
      assert.deepEqual([lost, losses], [true, 1]);
      assert.equal((next as MortiseError).code, "MORTISE_ISOLATION_LOST");
    });
  }

  for (const kind of ["thread", "process"] as const) {
    it(`for want of memory fails the call with MORTISE_MEMORY_LIMIT: ${kind}`, async () => {
      const { error, losses } = await provoke(kind, "out-of-memory");
      assert.equal(error.code, "MORTISE_MEMORY_LIMIT");
      assert.deepEqual([error.details["place"], losses], [kind, 1]);
    });
  }

  it("says what a child had complained of, in bounds", async () => {
    const { error } = await provoke("process", "complain");
    assert.ok(error.message.length < 1000, `${error.message.length} characters`);
    assert.ok(!error.message.includes("\u001b"));
  });
});

describe("A place that does not answer", () => {
  for (const kind of ["thread", "process"] as const) {
    it(`is ended after deadline and grace, with MORTISE_TIMEOUT: ${kind}`, async () => {
      const { error, lost, losses } = await provoke(kind, "silent");
      assert.deepEqual([error.code, error.details["limit"], lost, losses], ["MORTISE_TIMEOUT", 300, true, 1]);
    });
  }

  it("to an order whose time was over is ended after grace, and no timer is set to a time that was", async () => {
    const warnings: string[] = [];
    const note = ({ name }: Error): void => void warnings.push(name);
    process.on("warning", note);
    const { error, lost } = await provoke("thread", "late");
    process.off("warning", note);
    assert.deepEqual([error.code, lost, warnings], ["MORTISE_TIMEOUT", true, []]);
  });

  it("and does not even read is ended in the same way, however much it was sent", async () => {
    const { error, lost } = await provoke("process", "deaf", new Uint8Array(32 * MIB));
    assert.deepEqual([error.code, lost], ["MORTISE_TIMEOUT", true]);
  });
});

describe("A child in its guest's hands", () => {
  for (const [name, reason] of BREACHES) {
    it(`is ended when it breaks the protocol: ${name}`, async () => {
      const { error, lost, losses, variables } = await provoke("process", name);
      assert.deepEqual([error.code, error.details["reason"]], ["MORTISE_ISOLATION_LOST", `it broke the protocol: ${reason}`]);
      assert.deepEqual([lost, losses, variables], [true, 1, 0]);
    });
  }

  it("is ended when it asks again before it is answered", async () => {
    const { error } = await provoke("process", "two-questions");
    assert.equal(error.code, "MORTISE_ISOLATION_LOST");
  });

  it("that is done while an operation waits leaves the host function with MORTISE_STALE_CONTEXT", async () => {
    const { error, hostError } = await provoke("process", "done-for-operation");
    // The call itself succeeds: the child says so, and has to know.
    assert.equal(error, undefined);
    assert.equal((hostError as MortiseError).code, "MORTISE_STALE_CONTEXT");
  });

  it("cannot put anything into an error that the error does not have", async () => {
    const { error } = await provoke("process", "forge");
    assert.equal(error.code, "MORTISE_TRAP");
    assert.equal(error.message, 'Stopped function "f" of plugin "forge": it trapped: \\u001b[2J');
    assert.deepEqual(Object.entries(error.details), [
      ["constructor", 5],
      ["plugin", "forge"],
      ["function", "f"],
      ["reason", "\u001b[2J"],
      ["trace", [{ function: "x", offset: 1 }]],
    ]);
    assert.equal(Object.getPrototypeOf(error.details), Object.prototype);
    assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
    assert.equal(error.cause, undefined);
  });

  it("finds no way out of its process", async () => {
    const { error } = await provoke("process", "escape");
    assert.equal(error.code, "MORTISE_GUEST_ERROR");
    const expected: string[] = [];
    for (const what of [
      "read a file",
      "read the parent's environment",
      "read its own memory",
      "list a folder",
      "write a file",
      "write its own code",
      "start a program",
      "start a thread",
    ]) {
      expected.push(`${what}: ERR_ACCESS_DENIED`);
    }
    expected.push(
      "load an addon: ERR_DLOPEN_DISABLED",
      "change its prototypes: false",
      "use memory: RangeError: Array buffer allocation failed",
      "environment: []",
      'folder: "/"',
      "flags: []",
    );
    assert.deepEqual(String(error.details["reason"]).split("\n"), expected);
  });

  it("cannot fill the log", async () => {
    const { lines } = await provoke("process", "log-flood");
    assert.ok(lines.length < 20, `${lines.length} lines`);
  });
});
