// One request through several hooks: its id, and the attributes that plugins see and write.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { RequestContext } from "../../src/api/request.ts";
import { hook } from "../../src/hooks/definition.ts";
import { createHost } from "../../src/manager/create-host.ts";
import { type Does, ECHO, NEST, action, guest } from "./guests.ts";

interface Message {
  readonly context: Readonly<Record<string, unknown>>;
}

interface NestedMessage extends Message {
  readonly input: NestedMessage;
}

const HOOKS = { before: hook.chain<unknown>(), after: hook.first<unknown, Message>(), tell: hook.all<unknown>() };
const writes = (attributes: Readonly<Record<string, string | null>>): Does => action("continue", { attributes });

describe("A request", () => {
  it("has the same id in every hook and for every plugin, and a new one where none is passed", async () => {
    await using host = await createHost({ hooks: HOOKS });
    await host.plugins.load(await guest({ before: ECHO, after: ECHO }), { name: "a" });
    const request = host.request();
    assert.match(request.id, /^[0-9a-f-]{36}$/);
    const seen = [(await host.hooks.before(1, { request })) as Message, await host.hooks.after(1, { request })];
    assert.deepEqual(
      seen.map((message) => message?.context["request_id"]),
      [request.id, request.id],
    );
    const others = [(await host.hooks.before(1)) as Message, (await host.hooks.before(1)) as Message];
    assert.equal(new Set([request.id, ...others.map(({ context }) => context["request_id"])]).size, 3);
  });

  it("is refused with what is no deadline or no text", () => {
    for (const options of [{ timeoutMs: Number.NaN }, { timeoutMs: "5" }, { id: 5 }, { id: null }, { traceparent: ["a"] }, { attributes: { a: 1 } }])
      assert.throws(() => new RequestContext(options as never), { code: "MORTISE_INVALID_OPTION" }, JSON.stringify(options));
    assert.ok(new RequestContext({ timeoutMs: -1 }).timeLeftMs < 0);
  });

  it("is shown with its trace context, if it has one, and with the attributes that the plugin may read", async () => {
    await using host = await createHost({ hooks: HOOKS });
    const bytes = await guest({ after: ECHO });
    const contextFor = async (name: string, read: readonly string[] | undefined): Promise<unknown> => {
      await host.plugins.load(bytes, { name, replace: true, permissions: read === undefined ? {} : { attributes: { read } } });
      const attributes = { tenant: 'a "b"', "helios.region": "eu", "helios.node": "n1", secret: "s" };
      const request = host.request({ id: 'r"1', traceparent: "00-aa-bb-01", attributes });
      return (await host.hooks.after(1, { request }))?.context;
    };
    const shown = (attributes: object): object => ({ request_id: 'r"1', traceparent: "00-aa-bb-01", attributes });
    assert.deepEqual(await contextFor("a", undefined), shown({}));
    assert.deepEqual(await contextFor("a", ["tenant"]), shown({ tenant: 'a "b"' }));
    assert.deepEqual(await contextFor("a", ["helios.*", "tenant"]), shown({ tenant: 'a "b"', "helios.region": "eu", "helios.node": "n1" }));
    assert.deepEqual(await contextFor("a", ["*"]), shown({ tenant: 'a "b"', "helios.region": "eu", "helios.node": "n1", secret: "s" }));
    assert.deepEqual((await host.hooks.after(1, { request: host.request({ id: "2" }) }))?.context, { request_id: "2", attributes: {} });
  });

  it("is shown to each plugin of a run by its own permissions", async () => {
    await using host = await createHost({ hooks: HOOKS });
    const reads = (read: readonly string[]): object => ({ permissions: { attributes: { read } } });
    await host.plugins.load(await guest({ before: "" }), { name: "a", ...reads(["*"]) });
    await host.plugins.load(await guest({ before: NEST }), { name: "b" });
    await host.plugins.load(await guest({ before: NEST }), { name: "c", ...reads(["tenant"]) });
    await host.plugins.load(await guest({ before: NEST }), { name: "d" });
    const request = host.request({ attributes: { tenant: "t", secret: "s" } });
    const d = (await host.hooks.before("raw", { request })) as NestedMessage;
    const seen = [d, d.input, d.input.input].map(({ context }) => context["attributes"]);
    assert.deepEqual(seen, [{}, { tenant: "t" }, {}]);
  });

  it("carries what one plugin writes to the next, and to the hooks behind, if both may", async () => {
    await using host = await createHost({ hooks: HOOKS });
    const write = { attributes: { write: ["tenant", "seen.*"] } };
    await host.plugins.load(await guest({ before: writes({ tenant: "t1", "seen.a": "yes", gone: null }) }), {
      name: "a",
      permissions: { attributes: { write: ["*"] } },
    });
    await host.plugins.load(await guest({ before: writes({ "seen.a": null, "seen.b": "" }) }), { name: "b", permissions: write });
    await host.plugins.load(await guest({ after: ECHO }), { name: "c", permissions: { attributes: { read: ["tenant", "seen.*", "gone"] } } });
    await host.plugins.load(await guest({ after: ECHO }), { name: "d", order: -1, filters: { after: { who: "d" } } });
    const request = host.request({ attributes: { gone: "still here" } });
    await host.hooks.before(1, { request });
    assert.deepEqual(Object.fromEntries(request.attributes), { tenant: "t1", "seen.b": "" });
    assert.deepEqual((await host.hooks.after(1, { request }))?.context["attributes"], { tenant: "t1", "seen.b": "" });
    assert.deepEqual((await host.hooks.after({ who: "d" }, { request }))?.context["attributes"], {});
  });

  it("keeps its attributes as they are where a plugin writes one that it may not: that is a failure, not silence", async () => {
    await using host = await createHost({ hooks: HOOKS });
    await host.plugins.load(await guest({ before: writes({ mine: "1", "helios.region": "us" }) }), {
      name: "a",
      permissions: { attributes: { read: ["*"], write: ["mine"] } },
    });
    const request = host.request({ attributes: { "helios.region": "eu" } });
    await assert.rejects(host.hooks.before(1, { request }), (error: { code: string; cause: { code: string; message: string } }) => {
      assert.deepEqual([error.code, error.cause.code], ["MORTISE_HOOK_FAILED", "MORTISE_PERMISSION"]);
      assert.match(error.cause.message, /writing attribute "helios.region".*attributes = \{ write = \["helios.region"\] \}/);
      return true;
    });
    assert.deepEqual(Object.fromEntries(request.attributes), { "helios.region": "eu" });
  });

  it("has bounds on what plugins write", async () => {
    const bounded: readonly (readonly [attributes: Readonly<Record<string, string>>, reason: RegExp | undefined])[] = [
      [Object.fromEntries(Array.from({ length: 64 }, (_, index) => [`k${index}`, "v"])), undefined],
      [Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`k${index}`, "v"])), /makes more than 64 attributes of the request/],
      [{ ["n".repeat(256)]: "v".repeat(4096) }, undefined],
      [{ ["é".repeat(129)]: "v" }, /whose name has not between 1 and 256 bytes/],
      [{ "": "v" }, /whose name has not between 1 and 256 bytes/],
      [{ n: "v".repeat(4097) }, /has an attribute of more than 4096 bytes/],
    ];
    for (const [attributes, reason] of bounded) {
      await using host = await createHost({ hooks: HOOKS });
      await host.plugins.load(await guest({ before: writes(attributes) }), { name: "a", permissions: { attributes: { write: ["*"] } } });
      const request = host.request();
      if (reason === undefined) await host.hooks.before(1, { request });
      else await assert.rejects(host.hooks.before(1, { request }), reason);
      assert.equal(request.attributes.size, reason === undefined ? Object.keys(attributes).length : 0);
    }
  });

  it("is written to by observers, and by rejections as well", async () => {
    await using host = await createHost({ hooks: HOOKS });
    const does: Readonly<Record<string, Does>> = { tell: writes({ told: "1" }), before: action("reject", { attributes: { why: "2" } }) };
    await host.plugins.load(await guest(does), { name: "a", permissions: { attributes: { write: ["*"] } } });
    const request = host.request();
    await host.hooks.tell(1, { request });
    await assert.rejects(host.hooks.before(1, { request }), { code: "MORTISE_HOOK_REJECTED" });
    assert.deepEqual(Object.fromEntries(request.attributes), { told: "1", why: "2" });
  });

  it("is what host.request makes, or a RequestContext of one's own, and nothing else", async () => {
    await using host = await createHost({ hooks: HOOKS });
    await host.plugins.load(await guest({ before: ECHO }), { name: "a" });
    const seen = (await host.hooks.before(1, { request: new RequestContext({ id: "own" }) })) as Message;
    assert.equal(seen.context["request_id"], "own");
    for (const wrong of [{ request: { id: "x" } }, { signal: {} }] as never[])
      await assert.rejects(host.hooks.before(1, wrong), { code: "MORTISE_INVALID_OPTION" });
  });
});
