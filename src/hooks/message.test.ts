// Messages are written once for all plugins that see the same, and anew when something has changed.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { RequestContext } from "../api/request.ts";
import { genericWire } from "./generic-wire.ts";
import { Message, Shown } from "./message.ts";

const request = new RequestContext({ id: "r1" });
const WIRE = genericWire<unknown, unknown>();
const LONG = "ä".repeat(100);
const shown = (attributes: Readonly<Record<string, string>> = {}): Shown => new Shown(request, new Map(Object.entries(attributes)));
const textOf = (input: string | Uint8Array): string => (typeof input === "string" ? input : Buffer.from(input).toString());

describe("Message.input", () => {
  it("gives the same bytes to all who are shown the same", () => {
    const message = new Message<unknown>(LONG);
    const same = shown();
    const first = message.input(WIRE, same, "hook");
    assert.ok(first instanceof Uint8Array);
    assert.equal(message.input(WIRE, same, "hook"), first);
    assert.equal(textOf(first), message.text(WIRE, same, "hook"));
  });

  it("writes anew for another context, and after the value was replaced", () => {
    const message = new Message<unknown>(LONG);
    const [plain, named] = [shown(), shown({ client: "ann" })];
    assert.match(textOf(message.input(WIRE, plain, "hook")), /"attributes":\{\}/);
    assert.match(textOf(message.input(WIRE, named, "hook")), /"attributes":\{"client":"ann"\}/);
    message.replace("short");
    assert.match(textOf(message.input(WIRE, named, "hook")), /^\{"input":"short"/);
  });

  it("is written once for each wire, and read as that one writes it", () => {
    const message = new Message<unknown>(LONG);
    const other = { ...WIRE, encode: (): readonly [string, string] => [`{"other":"${LONG}","context":`, "}"] };
    const same = shown();
    const [first, second] = [message.input(WIRE, same, "hook"), message.input(other, same, "hook")];
    assert.match(textOf(first), /^\{"input":/);
    assert.match(textOf(second), /^\{"other":/);
    assert.equal(message.input(WIRE, same, "hook"), first);
    assert.equal(message.input(other, same, "hook"), second);
  });

  it("hands a short message on as text", () => {
    const message = new Message<unknown>(1);
    assert.equal(message.input(WIRE, shown(), "hook"), '{"input":1,"context":{"request_id":"r1","attributes":{}}}');
  });
});
