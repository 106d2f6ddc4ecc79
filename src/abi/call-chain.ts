// Who called whom: plugins whose host functions call plugins. A call that would wait for an instance that its own caller
// holds would wait until its deadline; it is refused instead.
//
// The synchronous part of a host function is found through a variable, which costs next to nothing; what an `async`
// function does later, through an asynchronous context.

import { AsyncLocalStorage } from "node:async_hooks";

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
