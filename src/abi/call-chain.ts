// Who called whom: plugins whose host functions call plugins, and plugins that call each other. A call that would wait for
// an instance that its own caller holds would wait until its deadline; it is refused instead.
//
// The synchronous part of a host function is found through a variable, which costs next to nothing; what an `async`
// function does later, through an asynchronous context.

import { AsyncLocalStorage } from "node:async_hooks";

import type { Caller } from "../api/caller.ts";

/** A host function that runs for a plugin. */
export interface HostCallRecord {
  /** The plugin, by the state that its instances share. */
  readonly owner: object;
  /** The host function that the plugin was called from. */
  readonly outer: HostCallRecord | undefined;
  /** The guest waits for the function's promise now. */
  suspended: boolean;
  /** Refuses calls that were made by the function and wait for an instance of the same plugin. */
  nested: (() => void)[] | undefined;
}

const storage = new AsyncLocalStorage<HostCallRecord>();
let running: HostCallRecord | undefined;

/** The host function in which this code runs. */
export function currentHostCall(): HostCallRecord | undefined {
  return running ?? storage.getStore();
}

/** Runs a host function for a plugin; `asynchronous` if what it does later counts as well. */
export function runHostCall<T>(owner: object, asynchronous: boolean, work: (record: HostCallRecord) => T): T {
  const before = running;
  const record: HostCallRecord = { owner, outer: currentHostCall(), suspended: false, nested: undefined };
  running = record;
  try {
    return asynchronous ? storage.run(record, work, record) : work(record);
  } finally {
    running = before;
  }
}

/** The guest now waits for the host function: whatever the function itself waits for must not be the guest's instance. */
export function suspendHostCall(record: HostCallRecord): void {
  record.suspended = true;
  const nested = record.nested;
  record.nested = undefined;
  for (const refuse of nested ?? []) refuse();
}

/** The guest no longer waits: what the host function started and left behind may call the plugin like anybody else. */
export function resumeHostCall(record: HostCallRecord): void {
  record.suspended = false;
}

/**
 * Notes that a call of `owner` has to wait. True if it was made by a host function that the same plugin waits for; else
 * `refuse` is called should the plugin come to wait for it.
 */
export function waitsForItself(owner: object, refuse: () => void): boolean {
  for (let record = currentHostCall(); record !== undefined; record = record.outer) {
    if (record.owner !== owner) continue;
    if (record.suspended) return true;
    (record.nested ??= []).push(refuse);
  }
  return false;
}

/** A call of a plugin by a plugin that waits for an instance. */
export interface NestedWait {
  /** Plugins of which it and those that it was made by hold an instance each. */
  readonly holds: ReadonlySet<object>;
  /** The plugin that it waits for, and the instances that there are of it. */
  readonly target: object;
  readonly instances: number;
}

const waits = new Set<NestedWait>();
/** How many of {@link waits} hold an instance of a plugin. */
const holders = new Map<object, number>();

/**
 * Notes that a call made for `caller` has to wait for one of so many instances of `target`. Undefined, and nothing is noted,
 * if it would wait for ever: every one of them is held by calls that wait in turn, directly or through others, for what
 * this one holds.
 */
export function beginWait(caller: Caller, target: object, instances: number): NestedWait | undefined {
  const holds = new Set<object>();
  for (let at: Caller | undefined = caller; at !== undefined; at = at.caller) holds.add(at.owner);
  const wait: NestedWait = { holds, target, instances };
  if (count(target) + Number(holds.has(target)) >= instances && isStuck(wait)) return undefined;
  waits.add(wait);
  for (const owner of holds) holders.set(owner, count(owner) + 1);
  return wait;
}

/** The call waits no longer. */
export function endWait(wait: NestedWait | undefined): void {
  if (wait === undefined || !waits.delete(wait)) return;
  for (const owner of wait.holds) {
    const left = count(owner) - 1;
    if (left > 0) holders.set(owner, left);
    else holders.delete(owner);
  }
}

function count(owner: object): number {
  return holders.get(owner) ?? 0;
}

/** Takes away, one after the other, who can come to an end; whether the call is among those that are left. */
function isStuck(wait: NestedWait): boolean {
  const stuck = new Set([...waits, wait]);
  for (let before = -1; stuck.size !== before;) {
    before = stuck.size;
    const held = new Map<object, number>();
    for (const { holds } of stuck) for (const owner of holds) held.set(owner, (held.get(owner) ?? 0) + 1);
    for (const each of stuck) if ((held.get(each.target) ?? 0) < each.instances) stuck.delete(each);
  }
  return stuck.has(wait);
}
