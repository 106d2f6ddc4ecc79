// Spans of runs, calls and HTTP requests, and whose children they are.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { describe, it } from "node:test";

import { begins, calls } from "../../src/api/channels.ts";
import { hook } from "../../src/hooks/definition.ts";
import { loadPlugin } from "../../src/index.ts";
import { createHost } from "../../src/manager/create-host.ts";
import { createHttpService } from "../../src/services/http/http-service.ts";
import { type OtelApi, loadOtelApi, readTraceparent } from "../../src/telemetry/otel-api.ts";
import { startTracing } from "../../src/telemetry/tracing.ts";
import { PAUSE_MODULE, action, guest } from "../hooks/guests.ts";
import { recordingApi } from "./recorded-spans.ts";

const TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const options = { kind: 0, attributes: {} };

describe("startTracing", () => {
  it("makes a span for each run and call, each within the other", async () => {
    const { api, spans } = recordingApi();
    using tracing = await startTracing({ api });
    assert.ok(tracing !== undefined);
    await using host = await createHost({ hooks: { check: hook.chain<unknown>() } });
    await host.plugins.load(await guest({ check: "" }), { name: "a" });
    await host.plugins.load(await guest({ check: action("reject", { reason: "no" }) }), { name: "b" });
    await host.hooks.check.decide({}, { request: host.request({ id: "r-1", traceparent: TRACEPARENT }) });
    assert.deepEqual(
      spans.map(({ name, parent, ended }) => [name, parent, ended]),
      [
        ["hook check", "b7ad6b7169203331", 1],
        ["a check", "hook check", 1],
        ["b check", "hook check", 1],
      ],
    );
    assert.deepEqual(spans[0]?.attributes, { "mortise.hook": "check", "mortise.request": "r-1" });
    assert.equal(spans[1]?.attributes["mortise.plugin"], "a");
    assert.ok(Number(spans[1]?.attributes["mortise.fuel"]) > 0);
    assert.deepEqual(spans[0]?.events, [["decision", { "mortise.plugin": "b", "mortise.action": "reject", "mortise.reason": "no" }]]);
  });

  it("gives the reason of a plugin safe to print, bounded and without its secrets", async () => {
    const { api, spans } = recordingApi();
    using _tracing = await startTracing({ api });
    await using host = await createHost({ hooks: { check: hook.chain<unknown>() } });
    const reason = `key hunter2-hunter2\n\u001b[31m${"x".repeat(1000)}`;
    await host.plugins.load(await guest({ check: action("reject", { reason }) }), { name: "a", secrets: ["hunter2-hunter2"] });
    await host.hooks.check.decide({});
    const [[, attributes] = []] = spans[0]?.events ?? [];
    assert.match(String(attributes?.["mortise.reason"]), /^key \*\*\*\\n\\u001b\[31mx{287}…$/);
  });

  it("prefers the span that is active to what the request came with", async () => {
    const { api, spans, active } = recordingApi();
    using _tracing = await startTracing({ api });
    await using host = await createHost({ hooks: { check: hook.chain<unknown>() } });
    await host.plugins.load(await guest({ check: "" }), { name: "a" });
    const server = api.trace.getTracer("app").startSpan("server", options, api.context.active());
    await active(server, () => host.hooks.check({}, { request: host.request({ traceparent: TRACEPARENT }) }));
    assert.deepEqual(
      spans.map(({ name, parent }) => [name, parent]),
      [
        ["server", undefined],
        ["hook check", "server"],
        ["a check", "hook check"],
      ],
    );
  });

  it("keeps calls apart that run at the same time and wait, and gives each its HTTP requests", async () => {
    const { api, spans } = recordingApi();
    using _tracing = await startTracing({ api });
    const server = createServer((_request, response) => response.end("x"));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const service = createHttpService({ hosts: [`127.0.0.1:${port}`] });
    const request = { url: `http://127.0.0.1:${port}/`, method: "GET", headers: {}, body: undefined };
    const both = Promise.withResolvers<void>();
    let waiting = 0;
    const pause = async (context: { readonly plugin: string; readonly function: string; readonly signal: AbortSignal }): Promise<void> => {
      // Not before both calls are suspended.
      if (++waiting === 2) both.resolve();
      await both.promise;
      await service.request(request, { plugin: context.plugin, function: context.function, timeoutMs: 5000, signal: context.signal });
    };
    const hostFunctions = { [PAUSE_MODULE]: { pause } };
    const source = await guest({ run: { pauses: "done" } });
    await using one = await loadPlugin(source, { name: "one", hostFunctions });
    await using two = await loadPlugin(source, { name: "two", hostFunctions });
    await Promise.all([one.call("run"), two.call("run")]);
    service.close();
    server.close();
    assert.deepEqual(
      spans.map(({ name, parent, ended }) => [name, parent, ended]).toSorted((a, b) => (String(a) < String(b) ? -1 : 1)),
      [
        ["GET", "one run", 1],
        ["GET", "two run", 1],
        ["one run", undefined, 1],
        ["two run", undefined, 1],
      ],
    );
    const http = spans.find(({ name }) => name === "GET");
    assert.equal(http?.kind, 2);
    assert.deepEqual([http?.attributes["server.address"], http?.attributes["http.response.status_code"]], [`127.0.0.1:${port}`, 200]);
    assert.ok((http?.startTime ?? 0) <= Date.now());
  });

  it("marks what failed with its code", async () => {
    const { api, spans } = recordingApi();
    using _tracing = await startTracing({ api });
    await using plugin = await loadPlugin(await guest({ run: "trap!" }), { name: "p" });
    await assert.rejects(plugin.call("run"));
    assert.throws(() => plugin.callSync("run"));
    assert.deepEqual(
      spans.map(({ status, ended }) => [status?.code, status?.message, ended]),
      [
        [2, "MORTISE_TRAP", 1],
        [2, "MORTISE_TRAP", 1],
      ],
    );
  });

  it("makes none once it is closed", async () => {
    const { api, spans } = recordingApi();
    const tracing = await startTracing({ api });
    tracing?.close();
    await using plugin = await loadPlugin(await guest({ run: "" }));
    await plugin.call("run");
    assert.equal(spans.length, 0);
    assert.deepEqual([begins.hasSubscribers, calls.hasSubscribers], [false, false]);
  });

  it("does not let a tracer that fails disturb a call", async () => {
    const failing = (): never => {
      throw new Error("no span");
    };
    const { api } = recordingApi();
    const broken: OtelApi = { ...api, trace: { ...api.trace, getTracer: () => ({ startSpan: failing }) } };
    using _tracing = await startTracing({ api: broken });
    await using plugin = await loadPlugin(await guest({ run: "ok" }));
    assert.equal((await plugin.call("run")).text(), "ok");
  });
});

const real = await loadOtelApi();

describe("With @opentelemetry/api itself", { skip: real === undefined && "the package is not installed" }, () => {
  it("hands spans to the provider that is registered", async () => {
    // The package is loaded by its own name: it is the one that an application registers with.
    const api = real as OtelApi & { readonly trace: { setGlobalTracerProvider(provider: object): boolean; disable(): void } };
    const { api: recording, spans } = recordingApi();
    const tracer = recording.trace.getTracer("test");
    const parents: (OtelApi["trace"] extends { getSpan(context: infer C): unknown } ? C : never)[] = [];
    api.trace.setGlobalTracerProvider({
      getTracer: () => ({
        startSpan: (name: string, how: typeof options, context: never) => {
          parents.push(context);
          return tracer.startSpan(name, how, recording.context.active());
        },
      }),
    });
    try {
      using _tracing = await startTracing();
      await using host = await createHost({ hooks: { check: hook.chain<unknown>() } });
      await host.plugins.load(await guest({ check: "" }), { name: "a" });
      await host.hooks.check({}, { request: host.request({ traceparent: TRACEPARENT }) });
      assert.deepEqual(
        spans.map(({ name, ended }) => [name, ended]),
        [
          ["hook check", 1],
          ["a check", 1],
        ],
      );
      // What the real package finds in the contexts that it was given.
      const remote = api.trace.getSpan(parents[0] as never) as unknown as { spanContext(): { traceId: string; spanId: string } };
      assert.equal(remote.spanContext().spanId, "b7ad6b7169203331");
      assert.ok(api.trace.getSpan(parents[1] as never) !== undefined);
    } finally {
      api.trace.disable();
    }
  });
});

describe("readTraceparent", () => {
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  const spanId = "b7ad6b7169203331";
  for (const [text, wanted] of [
    [`00-${traceId}-${spanId}-01`, { traceId, spanId, traceFlags: 1, isRemote: true }],
    [`00-${traceId}-${spanId}-00`, { traceId, spanId, traceFlags: 0, isRemote: true }],
    [`01-${traceId}-${spanId}-01-more`, { traceId, spanId, traceFlags: 1, isRemote: true }],
    [`ff-${traceId}-${spanId}-01`, undefined],
    [`00-${"0".repeat(32)}-${spanId}-01`, undefined],
    [`00-${traceId}-${"0".repeat(16)}-01`, undefined],
    [`00-${traceId.toUpperCase()}-${spanId}-01`, undefined],
    ["", undefined],
    ["x".repeat(1000), undefined],
  ] as const) {
    it(`reads ${text.slice(0, 60)}`, () => assert.deepEqual(readTraceparent(text), wanted));
  }
});
