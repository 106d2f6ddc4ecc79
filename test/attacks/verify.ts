// What must hold of every attack.

import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";

import { loadPlugin, type MortiseError, type Plugin } from "../../src/index.ts";
import { moduleOf, observe, type Outcome, runAttack } from "./attack-run.ts";
import { type Attack, ATTACKS } from "./attacks.ts";

const DEFAULT_MAX_MS = 5000;
/** Longest message: a template, two names and a guest's text of 300 characters, escapes written out. */
const MAX_MESSAGE_CHARS = 3000;
// oxlint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;

const utf8 = new TextDecoder();

let bystander: Promise<Plugin> | undefined;

/** Another plugin of the same process. */
async function loadBystander(): Promise<Plugin> {
  const harmless = ATTACKS.find(({ file }) => file === "trap-unreachable");
  if (harmless === undefined) throw new Error("no attack trap-unreachable");
  return loadPlugin(await moduleOf(harmless), { name: "bystander" });
}

function assertOk(outcome: Outcome, whose: string): void {
  assert.equal(outcome.error?.message, undefined, `the call of ok on ${whose} failed`);
  assert.equal(utf8.decode(outcome.output), "ok", `ok on ${whose} gave a wrong output`);
}

interface Frame {
  readonly function: string;
  readonly offset: number;
}

/** The trace lies within the module, and its names cannot forge anything. */
function assertHonestTrace(error: MortiseError, size: number): void {
  const { trace } = error.details as { trace?: readonly Frame[] };
  for (const frame of trace ?? []) {
    assert.doesNotMatch(frame.function, CONTROLS, "a control character in a frame's name");
    assert.ok(frame.offset > 8 && frame.offset < size, `offset ${frame.offset} is outside the module's ${size} bytes`);
  }
}

function assertSafeMessage(error: MortiseError, attack: Attack): void {
  assert.ok(error.message.includes(attack.name), `the message does not name the plugin: ${error.message}`);
  assert.doesNotMatch(error.message, CONTROLS, "a control character in the message");
  assert.ok(error.message.length < MAX_MESSAGE_CHARS, `the message has ${error.message.length} characters`);
}

function assertEnding(attack: Attack, load: Outcome, call: Outcome | undefined): void {
  const { ending } = attack;
  if (ending.at === "load") {
    assert.ok(load.error !== undefined, "the guest was loaded");
    assert.ok(ending.codes.includes(load.error.code), `${load.error.code}: ${load.error.message}`);
    assertSafeMessage(load.error, attack);
    return;
  }
  assert.equal(load.error?.message, undefined, "the guest was not loaded");
  if (ending.at === "output") {
    assert.equal(call?.error?.message, undefined, "the call failed");
    assert.equal(utf8.decode(call?.output), ending.output);
    return;
  }
  assert.ok(call?.error !== undefined, "the call succeeded");
  assert.ok(ending.codes.includes(call.error.code), `${call.error.code}: ${call.error.message}`);
  assertSafeMessage(call.error, attack);
  assert.ok(call.error.message.includes(`"attack"`), `the message does not name the function: ${call.error.message}`);
  assert.equal(call.error.details["plugin"], attack.name);
  assert.equal(call.error.details["function"], "attack");
}

/** Runs an attack and asserts that it ended as it must and that nothing else suffered. */
export async function verifyAttack(attack: Attack): Promise<void> {
  const neighbour = await (bystander ??= loadBystander());
  const { plugin, load, call } = await runAttack(attack);
  assertEnding(attack, load, call);
  const size = (await moduleOf(attack)).length;
  for (const { error } of [load, call ?? load]) {
    if (error === undefined) continue;
    assertHonestTrace(error, size);
    attack.check?.(error);
  }
  const maxMs = attack.maxMs ?? DEFAULT_MAX_MS;
  assert.ok(load.ms < maxMs, `loading took ${load.ms} ms`);
  assert.ok((call?.ms ?? 0) < maxMs, `the call took ${call?.ms} ms`);
  assertOk(
    observe(() => neighbour.callSync("ok").bytes()),
    "another plugin",
  );
  if (plugin !== undefined) {
    for (let time = 0; time < 2; time++) {
      assertOk(
        observe(() => plugin.callSync("ok").bytes()),
        "the same plugin",
      );
    }
    assert.equal(plugin.stats().failures, call?.error === undefined ? 0 : 1);
    await plugin.close();
  }
  await turn();
}
