// Messages are written once for all plugins that see the same, and anew when something has changed.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { RequestContext } from "../api/request.ts";
import { genericWire } from "./generic-wire.ts";
import { Message, Shown } from "./message.ts";

const request = new RequestContext({ id: "r1" });
const LONG = "ä".repeat(100);
const shown = (attributes: Readonly<Record<string, string>> = {}): Shown => new Shown(request, new Map(Object.entries(attributes)));
const textOf = (input: string | Uint8Array): string => (typeof input === "string" ? input : Buffer.from(input).toString());

describe("Message.input", () => {
  it("gives the same bytes to all who are shown the same", () => {
    const message = new Message(genericWire<unknown, never>(), LONG);
    const same = shown();
    const first = message.input(same, "hook");
    assert.ok(first instanceof Uint8Array);
    assert.equal(message.input(same, "hook"), first);
    assert.equal(textOf(first), message.text(same, "hook"));
  });

  it("writes anew for another context, and after the value was replaced", () => {
    const message = new Message(genericWire<unknown, never>(), LONG);
    const [plain, named] = [shown(), shown({ client: "ann" })];
    assert.match(textOf(message.input(plain, "hook")), /"attributes":\{\}/);
    assert.match(textOf(message.input(named, "hook")), /"attributes":\{"client":"ann"\}/);
    message.replace("short");
    assert.match(textOf(message.input(named, "hook")), /^\{"input":"short"/);
  });

  it("hands a short message on as text", () => {
    const message = new Message(genericWire<unknown, never>(), 1);
    assert.equal(message.input(shown(), "hook"), '{"input":1,"context":{"request_id":"r1","attributes":{}}}');
  });
});

describe("Shown.shows", () => {
  const cases: readonly (readonly [Readonly<Record<string, string>>, Readonly<Record<string, string>>, boolean])[] = [
    [{}, {}, true],
    [{ a: "1", b: "2" }, { b: "2", a: "1" }, true],
    [{ a: "1" }, { a: "2" }, false],
    [{ a: "1" }, { b: "1" }, false],
    [{ a: "1" }, {}, false],
  ];
  for (const [before, now, same] of cases)
    it(`is ${same} for ${JSON.stringify(now)} after ${JSON.stringify(before)}`, () => {
      assert.equal(shown(before).shows(new Map(Object.entries(now))), same);
    });
});
