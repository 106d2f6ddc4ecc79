// What the package was found to do wrong, one test for each, on the door and on the core.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { type IncomingHttpHeaders, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, describe, it } from "node:test";
import { pathToFileURL } from "node:url";

import { type ErrorCode, isMortiseError } from "mortise";

import { core } from "./core-as-sdk.ts";
import { CALLER, HTTP_GUEST, SHAPES, WASI_GUEST } from "./modules.ts";
import { type Create, REFLECT, type SdkPlugin, assemble, door, guestBytes, guestPath } from "./sdks.ts";

const SUBJECTS = { door, core };

/** A test of one defect, on the door and on the core unless the core has nothing of the kind. */
function defect(name: string, run: (create: Create) => Promise<void>, subjects: readonly (keyof typeof SUBJECTS)[] = ["door", "core"]): void {
  for (const subject of subjects) {
    it(`${name}: not in the ${subject}`, () => run(SUBJECTS[subject]));
  }
}

async function failsWith(code: ErrorCode, work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof Error && isMortiseError(error), String(error));
    assert.equal(error.code, code, error.message);
    return true;
  });
}

const shapes = await assemble(SHAPES);
const caller = await assemble(CALLER);
const http = await assemble(HTTP_GUEST);
const wasi = await assemble(WASI_GUEST);
const echo = guestBytes("echo.c");

const open: SdkPlugin[] = [];
after(() => Promise.all(open.map((plugin) => plugin.close())));
async function load(create: Create, source: unknown, options?: Record<string, unknown>): Promise<SdkPlugin> {
  const plugin = await create(source, options);
  open.push(plugin);
  return plugin;
}
const ofBytes = (create: Create, data: Uint8Array, options?: Record<string, unknown>): Promise<SdkPlugin> =>
  load(create, { wasm: [{ data }] }, options);
const fixtures = (create: Create, options: Record<string, unknown> = {}): Promise<SdkPlugin> =>
  load(create, guestPath("fixtures.c"), { functions: REFLECT, ...options });
const textOf = async (work: Promise<{ text(): string } | null>): Promise<string | undefined> => (await work)?.text();
const INPUTS = ["first", "second", "third"];

describe("Calls", () => {
  defect("two concurrent calls get one output", async (create) => {
    const plugin = await load(create, guestPath("echo.c"));
    assert.deepEqual(await Promise.all(INPUTS.map((input) => textOf(plugin.call("echo", input)))), INPUTS);
  });

  defect("two concurrent calls of a worker fail", async (create) => {
    const plugin = await load(create, guestPath("echo.c"), { runInWorker: true });
    assert.deepEqual(await Promise.all(INPUTS.map((input) => textOf(plugin.call("echo", input)))), INPUTS);
  });

  defect("two concurrent calls with asynchronous host functions fail", async (create) => {
    const host_reflect = async (_context: unknown, address: bigint): Promise<bigint> => {
      await new Promise(setImmediate);
      return address;
    };
    const plugin = await fixtures(create, { functions: { "extism:host/user": { host_reflect } } });
    assert.deepEqual(await Promise.all(INPUTS.map((input) => textOf(plugin.call("host_reflect", input)))), INPUTS);
  });

  for (const runInWorker of [false, true]) {
    defect(`a plugin fails for good after 16,384 calls${runInWorker ? " in a worker" : ""}`, async (create) => {
      const plugin = await load(create, guestPath("echo.c"), { runInWorker });
      for (let call = 0; call < 16_400; call++) await plugin.call("echo", "x");
      assert.equal(await textOf(plugin.call("echo", "still here")), "still here");
    });
  }

  defect("more than 32,767 blocks in a call are confused", async (create) => {
    const blocks = await assemble(`(module
      (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
      (import "extism:host/env" "store_u64" (func $store (param i64 i64)))
      (import "extism:host/env" "load_u64" (func $load (param i64) (result i64)))
      (func (export "go") (result i32)
        (local $first i64) (local $last i64) (local $count i32)
        (local.set $first (call $alloc (i64.const 8)))
        (call $store (local.get $first) (i64.const 1))
        (loop $more
          (local.set $last (call $alloc (i64.const 8)))
          (call $store (local.get $last) (i64.const 2))
          (br_if $more (i32.lt_u (local.tee $count (i32.add (local.get $count) (i32.const 1))) (i32.const 40000))))
        (i32.or (i64.ne (call $load (local.get $first)) (i64.const 1)) (i64.ne (call $load (local.get $last)) (i64.const 2)))))`);
    // Anything but 0 would be an error.
    await (await ofBytes(create, blocks)).call("go");
  });

  defect("close during a call leaves it pending", async (create) => {
    for (const runInWorker of [false, true]) {
      const started = Promise.withResolvers<void>();
      const f = (): Promise<void> => {
        started.resolve();
        return new Promise(() => {});
      };
      const plugin = await ofBytes(create, caller, { functions: { u: { f } }, runInWorker, timeoutMs: 600_000 });
      const calls = [failsWith("MORTISE_CLOSED", plugin.call("go")), failsWith("MORTISE_CLOSED", plugin.call("go"))];
      await started.promise;
      await plugin.close();
      await Promise.all(calls);
      await failsWith("MORTISE_CLOSED", plugin.call("go"));
    }
  });

  defect("finished calls leave timers behind", async (create) => {
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const before = timers();
    const plugin = await load(create, guestPath("echo.c"), { timeoutMs: 600_000 });
    for (let call = 0; call < 100; call++) await plugin.call("echo", "x");
    assert.equal(timers(), before);
  });

  defect("a call without input has an address for it", async (create) => {
    const asks = await assemble(`(module
      (import "extism:host/env" "input_offset" (func $offset (result i64)))
      (import "extism:host/env" "input_length" (func $length (result i64)))
      (func (export "go") (result i32) (i64.ne (i64.or (call $offset) (call $length)) (i64.const 0))))`);
    await (await ofBytes(create, asks)).call("go");
  });

  defect("a number as input is taken for a block", async (create) => {
    const plugin = await load(create, guestPath("echo.c"));
    if (create === core) await failsWith("MORTISE_INVALID_INPUT", plugin.call("echo", 5));
    else assert.equal(await textOf(plugin.call("echo", 5)), "5");
  });

  defect("a plugin is active after a missing export", async (create) => {
    const plugin = await fixtures(create);
    await failsWith("MORTISE_UNKNOWN_FUNCTION", plugin.call("nope"));
    assert.equal(plugin.isActive(), false);
  });

  defect(
    "a plugin is not reset after a missing export",
    async (create) => {
      const plugin = await fixtures(create);
      await failsWith("MORTISE_UNKNOWN_FUNCTION", plugin.call("nope"));
      assert.equal(await plugin.reset(), true);
    },
    ["door"],
  );

  defect(
    "reset keeps variables",
    async (create) => {
      for (const runInWorker of [false, true]) {
        const plugin = await fixtures(create, { runInWorker });
        await plugin.call("var_bump");
        await plugin.reset();
        assert.equal(await textOf(plugin.call("var_bump")), "1");
      }
    },
    ["door"],
  );
});

describe("Failures in a worker", () => {
  const modules: readonly [what: string, code: ErrorCode, text: string][] = [
    ["a missing import", "MORTISE_MISSING_IMPORT", '(module (import "u" "missing" (func)))'],
    ["a trap of the start function", "MORTISE_TRAP", "(module (func $start unreachable) (start $start))"],
    ["a trap of an initialiser", "MORTISE_TRAP", '(module (func (export "_initialize") unreachable))'],
  ];
  for (const [what, code, text] of modules) {
    defect(`${what} ends the process`, async (create) => failsWith(code, ofBytes(create, await assemble(text), { runInWorker: true })));
  }

  defect("WASI that is not enabled ends the process", (create) => failsWith("MORTISE_MISSING_IMPORT", ofBytes(create, wasi, { runInWorker: true })), [
    "door",
  ]);

  defect("a host function that throws leaves a dead plugin", async (create) => {
    const error = new Error("no");
    let calls = 0;
    const f = (): void => {
      if (calls++ === 0) throw error;
    };
    const plugin = await ofBytes(create, caller, { functions: { u: { f } }, runInWorker: true });
    await assert.rejects(plugin.call("go"), (found: Error) => (create === core ? found.cause : found) === error);
    await plugin.call("go");
    assert.equal(calls, 2);
  });

  defect("HTTP that is denied or fails leaves a dead plugin", async (create) => {
    const plugin = await ofBytes(create, http, { allowedHosts: ["127.0.0.1"], runInWorker: true });
    const ask = (url: string): Promise<unknown> => plugin.call("get", JSON.stringify({ url }));
    await failsWith("MORTISE_HTTP_DENIED", ask("http://example.com/"));
    // Nobody listens at a port that was just given back.
    const closed = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => closed.once("listening", resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    await failsWith("MORTISE_HTTP_FAILED", ask(`http://127.0.0.1:${port}/`));
    assert.equal(await textOf(plugin.call("get", JSON.stringify({ url: `${base}/` }))), "ok");
  });

  defect("a trap is no Error", async (create) => failsWith("MORTISE_TRAP", (await fixtures(create, { runInWorker: true })).call("trap")));

  defect("a missing export is no Error", async (create) =>
    failsWith("MORTISE_UNKNOWN_FUNCTION", (await fixtures(create, { runInWorker: true })).call("nope")),
  );
});

describe("Results", () => {
  defect("a return code is ignored", async (create) => failsWith("MORTISE_RETURN_CODE", (await fixtures(create)).call("exit_code")));

  defect("offset and length of output_set are ignored", async (create) => {
    assert.equal(await textOf((await ofBytes(create, shapes)).call("part", "abcdefgh")), "cde");
  });

  for (const name of ["param", "two", "long"]) {
    defect(`the export "${name}" is called though its type is another`, async (create) =>
      failsWith("MORTISE_BAD_SIGNATURE", (await ofBytes(create, shapes)).call(name)),
    );
  }

  for (const runInWorker of [false, true]) {
    defect(`proc_exit throws a symbol${runInWorker ? " in a worker" : ""}`, async (create) => {
      const plugin = await ofBytes(create, wasi, { useWasi: true, runInWorker, functions: { u: { seen: () => {} } } });
      await failsWith("MORTISE_EXIT", plugin.call("exit_3"));
      await plugin.call("exit_0");
    });
  }
});

describe("Blocks", () => {
  const env = `
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "length" (func $length (param i64) (result i64)))
    (import "extism:host/env" "load_u8" (func $load8 (param i64) (result i32)))
    (import "extism:host/env" "load_u64" (func $load64 (param i64) (result i64)))`;
  const programs: readonly [what: string, program: string][] = [
    ["loads outside the heap throw", "(i32.or (call $load8 (i64.const -1)) (i64.ne (call $load64 (i64.const 0x7fffffffffffffff)) (i64.const 0)))"],
    ["alloc of nothing gives an address", "(i64.ne (call $alloc (i64.const 0)) (i64.const 0))"],
    ["length inside a block is the block's", "(i64.ne (call $length (i64.add (call $alloc (i64.const 8)) (i64.const 1))) (i64.const 0))"],
  ];
  for (const [what, program] of programs) {
    defect(what, async (create) => {
      await (await ofBytes(create, await assemble(`(module ${env} (func (export "go") (result i32) ${program}))`))).call("go");
    });
  }

  defect("configuration has the names of JavaScript's prototypes", async (create) => {
    for (const key of ["toString", "__proto__", "constructor"])
      await failsWith("MORTISE_GUEST_ERROR", (await fixtures(create, { config: {} })).call("config_echo", key));
  });
});

describe("Limits", () => {
  defect("maxPages does not count the plugin's memory at the start", async (create) => {
    await failsWith("MORTISE_INITIAL_MEMORY", ofBytes(create, await assemble("(module (memory 100))"), { memory: { maxPages: 2 } }));
  });

  defect("maxPages does not count memory.grow", async (create) => {
    await failsWith("MORTISE_MEMORY_LIMIT", (await fixtures(create, { memory: { maxPages: 4 } })).call("grow", "1000"));
  });

  defect("maxVarBytes of 0 sets no limit", async (create) => {
    await failsWith("MORTISE_VAR_LIMIT", (await fixtures(create, { memory: { maxVarBytes: 0 } })).call("var_bump"));
  });

  defect("maxVarBytes has no default", async (create) => failsWith("MORTISE_VAR_LIMIT", (await fixtures(create)).call("var_fill", "1048576")));
});

describe("Manifests", () => {
  const path = guestPath("fixtures.c");
  for (const [form, toForm] of [
    ["an object", (manifest: object): unknown => manifest],
    ["JSON", (manifest: object): unknown => JSON.stringify(manifest)],
  ] as const) {
    for (const key of ["timeoutMs", "timeout_ms"]) {
      defect(`${key} of ${form} is ignored`, async (create) => {
        const plugin = await load(create, toForm({ wasm: [{ path }], [key]: 100 }), { functions: REFLECT });
        await failsWith("MORTISE_TIMEOUT", plugin.call("spin"));
      });
    }
    for (const key of ["allowedHosts", "allowed_hosts"]) {
      defect(`${key} of ${form} is ignored`, async (create) => {
        const data = Buffer.from(http).toString("base64");
        const plugin = await load(create, toForm({ wasm: [{ data }], [key]: ["127.0.0.1"] }));
        assert.equal(await textOf(plugin.call("get", JSON.stringify({ url: `${base}/` }))), "ok");
      });
    }
    for (const [pages, bytes] of [
      ["maxPages", "maxVarBytes"],
      ["max_pages", "max_var_bytes"],
    ] as const) {
      defect(`memory.${pages} and ${bytes} of ${form} are ignored`, async (create) => {
        const plugin = await load(create, toForm({ wasm: [{ path }], memory: { [pages]: 4, [bytes]: 0 } }), { functions: REFLECT });
        await failsWith("MORTISE_MEMORY_LIMIT", plugin.call("grow", "1000"));
        await failsWith("MORTISE_VAR_LIMIT", plugin.call("var_bump"));
      });
    }
  }

  defect("a hash covers bytes beside a view", async (create) => {
    const larger = new Uint8Array(echo.length + 200);
    larger.set(echo, 100);
    const hash = createHash("sha256").update(echo).digest("hex");
    const plugin = await load(create, { wasm: [{ data: larger.subarray(100, 100 + echo.length), hash }] });
    assert.equal(await textOf(plugin.call("echo", "x")), "x");
    const whole = createHash("sha256").update(larger).digest("hex");
    await failsWith("MORTISE_DIGEST_MISMATCH", load(create, { wasm: [{ data: larger.subarray(100, 100 + echo.length), hash: whole }] }));
  });

  defect("bytes are no source", async (create) => assert.equal(await textOf((await load(create, echo)).call("echo", "x")), "x"));

  defect("a file: URL as text is no source", async (create) => {
    assert.equal(await textOf((await load(create, pathToFileURL(guestPath("echo.c")).href)).call("echo", "x")), "x");
  });

  defect("headers of a url are not sent", async (create) => {
    const plugin = await load(create, { wasm: [{ url: `${base}/echo.wasm`, headers: { "x-token": "secret" } }] });
    assert.equal(await textOf(plugin.call("echo", "x")), "x");
    assert.equal(requested.get("/echo.wasm")?.["x-token"], "secret");
  });
});

describe("HTTP", () => {
  const ask = async (create: Create, allowedHosts: string[], path: string, memory: object = {}): Promise<string | undefined> =>
    textOf((await ofBytes(create, http, { allowedHosts, memory })).call("get", JSON.stringify({ url: `${base}${path}` })));

  defect("a redirect to a host that is not allowed is followed", async (create) => {
    requested.clear();
    await failsWith("MORTISE_HTTP_DENIED", ask(create, ["127.0.0.1"], "/redirect"));
    assert.deepEqual([...requested.keys()], ["/redirect"]);
  });

  defect("a negation allows every other host", async (create) => failsWith("MORTISE_INVALID_OPTION", ask(create, ["!example.com"], "/")));

  defect("an entry with a port never matches", async (create) => assert.equal(await ask(create, [new URL(base).host], "/"), "ok"));

  defect("a body as long as the limit is lost", async (create) =>
    assert.equal(await ask(create, ["127.0.0.1"], "/", { maxHttpResponseBytes: 2 }), "ok"),
  );

  defect("a body above the limit is lost without an error", async (create) =>
    failsWith("MORTISE_HTTP_LIMIT", ask(create, ["127.0.0.1"], "/", { maxHttpResponseBytes: 1 })),
  );
});

describe("WASI", () => {
  const descriptors = (): number => readdirSync("/proc/self/fd").length;

  it("file descriptors stay open for each plugin: not in the door", { skip: process.platform === "linux" ? false : "counts in /proc" }, async () => {
    const options = { useWasi: true, functions: { u: { seen: () => {} } } };
    await ofBytes(door, wasi, options);
    const before = descriptors();
    const plugins = await Promise.all(Array.from({ length: 10 }, () => ofBytes(door, wasi, options)));
    for (const plugin of plugins) await plugin.call("say");
    const opened = descriptors() - before;
    assert.ok(opened <= 0, `${opened} more`);
  });
});

const requested = new Map<string, IncomingHttpHeaders>();
const server = createServer((request, response) => {
  requested.set(request.url ?? "", request.headers);
  if (request.url === "/redirect") response.writeHead(302, { location: `http://localhost:${(server.address() as AddressInfo).port}/` }).end();
  else if (request.url === "/echo.wasm") response.setHeader("content-type", "application/wasm").end(echo);
  else response.end("ok");
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
after(() => {
  server.closeAllConnections();
  server.close();
});
