// A native plugin as an ES module: the simplest things, what goes wrong, and what it may ask the host for.

import { createHash } from "node:crypto";

let calls = 0;
let kept;

export const version = "1";

export function echo(input) {
  return input;
}

export function noop() {}

/** How often it was called since the module was loaded. */
export function count() {
  return String(++calls);
}

export async function backwards(input) {
  await null;
  return input.toReversed();
}

export function sha256(input) {
  return createHash("sha256").update(input).digest("hex");
}

/** Fails with the input as message. */
export function fail(input) {
  throw new Error(new TextDecoder().decode(input));
}

export async function fail_later(input) {
  await null;
  fail(input);
}

export function fail_with_text() {
  throw "plain text";
}

export function recurse() {
  return recurse() + 1;
}

/** What is no output. */
export function number() {
  return 42;
}

export function as_many(input) {
  return "é".repeat(Number(new TextDecoder().decode(input)));
}

/** A promise that nothing ever settles; tells what its signal says. */
export function never(_input, { signal, log }) {
  signal.addEventListener("abort", () => log.info(`aborted: ${signal.reason.code}`));
  return new Promise(() => {});
}

/** Holds the thread until the host's clock, which it turns itself, says that it is late. */
export function hold(_input, { services }) {
  services.turn_clock(1000n);
  return "late";
}

/** Gives the same array each time, and changes it afterwards. */
export function changing() {
  kept ??= new Uint8Array(3);
  kept.fill(++calls);
  return kept;
}

export function context(input, given) {
  const frozen = [given, given.config, given.services, given.log, given.request ?? given].every(Object.isFrozen);
  const { plugin, config, request, services } = given;
  return JSON.stringify({ plugin, config, request, services: Object.keys(services), frozen, input: input.length });
}

export function log(input, context) {
  const text = new TextDecoder().decode(input);
  for (const level of ["trace", "debug", "info", "warn", "error"]) context.log[level](`${level} ${text}`);
}

/** Calls the service that the input names, `[name, ...values]`, and gives its answer. */
export async function ask(input, { services }) {
  const [name, ...values] = JSON.parse(new TextDecoder().decode(input));
  const answer = await services[name](...values);
  return answer === undefined ? undefined : typeof answer === "object" ? answer : String(answer);
}

/** As `ask`, but goes on after a failure as if there were nothing. */
export async function ask_and_ignore(input, context) {
  try {
    return await ask(input, context);
  } catch {
    return "nothing there";
  }
}

/** As `ask`, but looks at nothing and never comes back. */
export function ask_and_hang(input, context) {
  void ask(input, context).catch(() => {});
  return new Promise(() => {});
}

/** Keeps the services of its first call and uses them in the next. */
export function use_old(_input, { services }) {
  kept ??= services;
  return kept.kv_get("a");
}
