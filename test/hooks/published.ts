// What is published of hooks that fail.

import { subscribe, unsubscribe } from "node:diagnostics_channel";

import { HOOK_CHANNEL, type HookFailure } from "../../src/hooks/failure.ts";

/** Collects the failures that are published while some work runs. */
export async function failuresDuring(work: () => Promise<unknown>): Promise<HookFailure[]> {
  const failures: HookFailure[] = [];
  const listen = (message: unknown): void => {
    failures.push(message as HookFailure);
  };
  subscribe(HOOK_CHANNEL, listen);
  try {
    await work();
  } finally {
    unsubscribe(HOOK_CHANNEL, listen);
  }
  return failures;
}
