// What attacks leave behind for the host and for the next call, and what host functions can be made to do.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";

import { type CallContext, isMortiseError, loadPlugin, type Logger, type MortiseError, type Plugin, type PluginOptions } from "../../src/index.ts";
import { threadMs } from "../thread-time.ts";
import { Guest } from "./hostile-bytes.ts";
import { MODULES } from "./modules.ts";

async function load(file: string, options: PluginOptions = {}): Promise<Plugin> {
  const found = MODULES.get(file);
  assert.ok(found !== undefined, `no module ${file}`);
  return loadPlugin(await found.bytes(), { name: file, ...options });
}

function failureOf(work: () => unknown): MortiseError {
  try {
    work();
  } catch (error) {
    if (isMortiseError(error)) return error;
    throw error;
  }
  return assert.fail("nothing failed");
}

const user = (functions: Readonly<Record<string, (context: CallContext) => unknown>>): PluginOptions => ({
  hostFunctions: { "extism:host/user": functions as NonNullable<PluginOptions["hostFunctions"]>[string] },
});

/** A logger that keeps its lines. */
function recorder(): { lines: string[]; logger: Logger } {
  const lines: string[] = [];
  const keep = (line: string): void => void lines.push(line);
  return { lines, logger: { trace: keep, debug: keep, info: keep, warn: keep, error: keep } };
}

// oxlint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;

describe("A call's memory", () => {
  for (const file of ["residue", "residue-many"]) {
    it(`is zero again in the next call (${file})`, async () => {
      const plugin = await load(file);
      for (let time = 0; time < 3; time++) {
        plugin.callSync("attack");
        assert.deepEqual([...plugin.callSync("probe").bytes()], [0, 0, 0, 0, 0, 0, 0, 0]);
      }
    });
  }

  it("is cleared within the deadline of the next call", async () => {
    const plugin = await load("alloc-untouched", { limits: { timeoutMs: 50, memoryBytes: 1 << 30 } });
    plugin.callSync("attack");
    const began = threadMs();
    try {
      assert.equal(plugin.callSync("ok").text(), "ok");
    } catch (error) {
      assert.equal(isMortiseError(error) ? error.code : String(error), "MORTISE_TIMEOUT");
    }
    const ms = threadMs() - began;
    assert.ok(ms < 2000, `it took ${ms} ms`);
  });

  it("is zero where the last input lay", async () => {
    const plugin = await load("residue");
    plugin.callSync("ok", "secret".repeat(30_000));
    assert.deepEqual([...plugin.callSync("probe").bytes()], [0, 0, 0, 0, 0, 0, 0, 0]);
  });
});

describe("A deadline of 50 ms", () => {
  const files = [
    "loop",
    "call-bomb-60",
    "swallow-legacy-recursion",
    "swallow-new-recursion",
    "throw-deep",
    "bulk-fill",
    "bulk-table-copy",
    "locals-loop",
  ];
  for (const file of [...files, "config-key-large", "random-loop", "alloc-free-loop", "alloc-fragment", "write-loop", "tail-call-indirect"]) {
    it(`ends ${file} within a second`, async () => {
      const plugin = await load(file, { limits: { timeoutMs: 50 } });
      const began = threadMs();
      const { code } = failureOf(() => plugin.callSync("attack"));
      const ms = threadMs() - began;
      assert.ok(ms < 1000, `it took ${ms} ms`);
      assert.ok(["MORTISE_TIMEOUT", "MORTISE_STACK_OVERFLOW", "MORTISE_MEMORY_LIMIT"].includes(code), code);
      // More time than the attack had: an instance with large tables takes some to make.
      assert.equal(plugin.callSync("ok", "", { timeoutMs: 10_000 }).text(), "ok");
    });
  }

  it("holds for the call that has to make a new instance", async () => {
    let now = 0;
    const plugin = await load("initialise-slowly", { limits: { timeoutMs: 1000 }, clock: () => ++now });
    assert.equal(failureOf(() => plugin.callSync("attack")).code, "MORTISE_TRAP");
    const error = failureOf(() => plugin.callSync("ok", "", { timeoutMs: 3 }));
    assert.equal(error.code, "MORTISE_TIMEOUT");
    assert.equal(error.details["plugin"], "initialise-slowly");
  });
});

describe("An instance that failed", () => {
  it("can be replaced 12,000 times while the event loop does not turn", async () => {
    const plugin = await load("trap-unreachable");
    for (let time = 0; time < 12_000; time++) {
      const { code, message } = failureOf(() => plugin.callSync("attack"));
      assert.equal(code, "MORTISE_TRAP", `${time}: ${message}`);
    }
    assert.equal(plugin.callSync("ok").text(), "ok");
    assert.equal(plugin.stats().instances.discarded, 12_000);
  });

  it("leaves the accounts of variables right, wherever the stack ran out", async () => {
    const plugin = await load("swallow-variables-stack", { limits: { timeoutMs: 10_000 } });
    for (let time = 0; time < 20; time++) {
      failureOf(() => plugin.callSync("attack"));
      const { count, bytes } = plugin.stats().variables;
      assert.equal(bytes, count * (8 + 48 + 8));
      assert.ok(count > 0);
    }
  });
});

describe("A trap's trace", () => {
  it("gives names as data and the offset in the original module", async () => {
    const bytes = await MODULES.get("names-forge-stack")?.bytes();
    const plugin = await load("names-forge-stack");
    const { trace } = failureOf(() => plugin.callSync("attack")).details as { trace: { function: string; offset: number }[] };
    assert.equal(trace.length, 3);
    assert.equal(bytes?.[trace[0]?.offset ?? 0], 0x00, "not the unreachable instruction");
    assert.equal(bytes?.[trace[1]?.offset ?? 0], 0x10, "not a call");
    assert.equal(bytes?.[trace[2]?.offset ?? 0], 0x10, "not a call");
    assert.equal(trace[2]?.function, "attack");
    for (const frame of trace) assert.doesNotMatch(frame.function, CONTROLS);
  });
});

describe("A guest's text", () => {
  it("reaches the logger without control characters", async () => {
    const { lines, logger } = recorder();
    const plugin = await load("log-forged", { logger });
    plugin.callSync("attack");
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? "", /\[EROR\]/);
    assert.doesNotMatch(lines[0] ?? "", CONTROLS);
  });

  it("is cut to a bounded line", async () => {
    const { lines, logger } = recorder();
    const plugin = await load("log-huge", { logger, limits: { logBytes: 64 << 20 } });
    plugin.callSync("attack");
    assert.equal(lines.length, 1);
    // 8192 characters, each written as six.
    assert.ok((lines[0]?.length ?? 0) <= 8192 * 6 + 1, `${lines[0]?.length} characters`);
  });

  it("is limited in bytes, with one notice", async () => {
    const { lines, logger } = recorder();
    const plugin = await load("log-flood", { logger, limits: { fuel: 3_000_000, logBytes: 10_000 } });
    failureOf(() => plugin.callSync("attack"));
    assert.equal(lines.length, 10);
    assert.equal(lines.filter((line) => line.includes("MORTISE_LOG_LIMIT")).length, 1);
    assert.ok(plugin.stats().droppedLogs > 0);
  });

  it("is limited in lines, also if they are empty", async () => {
    const { lines, logger } = recorder();
    const plugin = await load("log-flood-empty", { logger, limits: { fuel: 3_000_000, logBytes: 1000 } });
    failureOf(() => plugin.callSync("attack"));
    assert.ok(lines.length <= 1001, `${lines.length} lines`);
  });

  it("is bounded in an error's message and details", async () => {
    const plugin = await load("error-megabytes", { limits: { fuel: 1e9 } });
    const error = failureOf(() => plugin.callSync("attack"));
    assert.doesNotMatch(error.message, CONTROLS);
    assert.ok(JSON.stringify(error).length < 1 << 20);
  });

  it("is bounded in the details of a variable's name", async () => {
    const plugin = await load("variable-name-huge", { limits: { fuel: 1e9 } });
    const error = failureOf(() => plugin.callSync("attack"));
    assert.equal(error.code, "MORTISE_VAR_LIMIT");
    assert.ok(JSON.stringify(error).length < 100_000, `${JSON.stringify(error).length} characters`);
  });

  it("is refused as text if it is not UTF-8", async () => {
    const plugin = await load("output-not-text");
    const output = plugin.callSync("attack");
    assert.deepEqual([...output.bytes()], [0xff, 0xc0, 0x80]);
    const error = failureOf(() => output.text());
    assert.equal(error.code, "MORTISE_BAD_TEXT");
    assert.match(error.message, /"attack" of plugin "output-not-text"/);
  });
});

describe("An input", () => {
  it("that fills the memory to the last byte is refused as an input", async () => {
    const plugin = await load("loop", { limits: { memoryBytes: 1 << 20 } });
    const error = failureOf(() => plugin.callSync("ok", new Uint8Array((1 << 20) - 256)));
    assert.equal(error.code, "MORTISE_INPUT_LIMIT");
    assert.equal(plugin.stats().instances.discarded, 0);
  });

  it("larger than the memory is refused and does no harm", async () => {
    const plugin = await load("loop", { limits: { memoryBytes: 1 << 20 } });
    assert.equal(failureOf(() => plugin.callSync("ok", "x".repeat(2 << 20))).code, "MORTISE_INPUT_LIMIT");
    assert.equal(plugin.callSync("ok", "x".repeat(100_000)).text(), "ok");
  });
});

describe("A host function", () => {
  it("cannot enter the plugin that called it", async () => {
    let inner: MortiseError | undefined;
    const plugin: Plugin = await load("host-call", {
      ...user({
        touch: () => {
          inner = failureOf(() => plugin.callSync("ok"));
          throw inner;
        },
      }),
    });
    const error = failureOf(() => plugin.callSync("attack"));
    assert.equal(inner?.code, "MORTISE_REENTRANT");
    assert.equal(error.details["plugin"], "host-call");
    assert.equal(error.details["function"], "attack");
    assert.equal(plugin.callSync("ok").text(), "ok");
  });

  it("cannot enter it by way of another plugin either", async () => {
    const seen: string[] = [];
    const second: Plugin = await load("host-call", {
      name: "second",
      ...user({ touch: () => void seen.push(failureOf(() => first.callSync("attack")).code) }),
    });
    const first: Plugin = await load("host-call", { name: "first", ...user({ touch: () => void second.callSync("attack") }) });
    first.callSync("attack");
    assert.deepEqual(seen, ["MORTISE_REENTRANT"]);
    assert.equal(first.callSync("ok").text(), "ok");
    assert.equal(second.callSync("ok").text(), "ok");
  });

  it("does not lend its plugin's fuel to the plugin it calls, nor lose it", async () => {
    const inner = await load("loop", { name: "inner", limits: { fuel: 10_000, timeoutMs: 60_000 } });
    const outer = await load("host-loop", {
      name: "outer",
      limits: { fuel: 100_000, timeoutMs: 60_000 },
      ...user({ touch: () => void failureOf(() => inner.callSync("attack")) }),
    });
    assert.equal(failureOf(() => outer.callSync("attack")).code, "MORTISE_FUEL");
    assert.ok(outer.stats().fuel.last >= 100_000 && outer.stats().fuel.last < 130_000);
    assert.ok(inner.stats().fuel.last >= 10_000 && inner.stats().fuel.last < 13_000);
  });

  it("whose own plugin fails is blamed for that, not the guest", async () => {
    const inner = await load("loop", { name: "inner", limits: { fuel: 1000 } });
    const outer = await load("host-call", { name: "outer", ...user({ touch: () => inner.callSync("attack") }) });
    const error = failureOf(() => outer.callSync("attack"));
    assert.equal(error.code, "MORTISE_HOST_FUNCTION");
    assert.match(error.message, /of plugin "outer"/);
    assert.equal(isMortiseError(error.cause) ? error.cause.code : undefined, "MORTISE_FUEL");
  });

  it("may queue calls of its plugin, and one that gives up does not hold up the next", async () => {
    const queued: Promise<unknown>[] = [];
    const aborter = new AbortController();
    const plugin: Plugin = await load("host-call", {
      ...user({
        touch: () => {
          queued.push(plugin.call("ok", "", { signal: aborter.signal }).catch((error: MortiseError) => error.code));
          queued.push(plugin.call("ok").then((output) => output.text()));
          aborter.abort();
        },
      }),
    });
    plugin.callSync("attack");
    const late = new Promise((resolve) => setTimeout(resolve, 200, "still waiting").unref());
    const settled = await Promise.race([Promise.all(queued), late]);
    assert.deepEqual(settled, ["MORTISE_ABORTED", "ok"]);
  });

  it("cannot use a call's context once the call is over", async () => {
    let kept: CallContext | undefined;
    const plugin = await load("host-call", {
      ...user({
        touch: (context) => {
          kept = context;
          return Promise.resolve();
        },
      }),
    });
    assert.equal(failureOf(() => plugin.callSync("attack")).code, "MORTISE_ASYNC_HOST_FUNCTION");
    await turn();
    try {
      kept?.setVariable("late", "value");
    } catch {
      // Refusing with an error is as good as doing nothing.
    }
    assert.equal(plugin.stats().variables.count, 0);
  });

  it("may close the plugin that called it", async () => {
    const plugin: Plugin = await load("host-call", { ...user({ touch: () => void plugin.close() }) });
    assert.equal(plugin.callSync("attack").length, 0);
    assert.equal(failureOf(() => plugin.callSync("ok")).code, "MORTISE_CLOSED");
  });
});

const fail = (): never => {
  throw new Error("disk full");
};

describe("A logger that throws", () => {
  it("ends the call without being called a defect of the host", async () => {
    const plugin = await load("log-forged", { logger: { trace: fail, debug: fail, info: fail, warn: fail, error: fail } });
    try {
      plugin.callSync("attack");
    } catch (error) {
      assert.ok(isMortiseError(error) && error.code !== "MORTISE_INTERNAL", String(error));
    }
    assert.equal(plugin.callSync("ok").text(), "ok");
  });
});

describe("A call of an unknown function", () => {
  it("is refused soon, however many names the guest exports", async () => {
    const guest = new Guest();
    // Not callable by their type, so that loading stays short of making entries for them.
    for (let index = 0; index < 20_000; index++) guest.export(`${index}`.padEnd(60, "before_the_request_"), 3);
    const plugin = await loadPlugin(guest.build(), { name: "names" });
    const began = threadMs();
    assert.equal(failureOf(() => plugin.callSync("beforeTheRequestIsSentToTheServer_v2")).code, "MORTISE_UNKNOWN_FUNCTION");
    const ms = threadMs() - began;
    assert.ok(ms < 2000, `it took ${ms} ms`);
  });
});
