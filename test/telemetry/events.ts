// Events as plugins cause them, for tests that need many or strange ones.

import { type CallEvent, type DecisionEvent, type LifecycleEvent } from "../../src/api/channels.ts";

export const callEvent = (event: Partial<CallEvent> = {}): CallEvent => ({
  plugin: "p",
  version: "1",
  function: "f",
  durationMs: 1,
  queueMs: 0,
  fuel: 10,
  memoryBytes: 65_536,
  inputBytes: 3,
  outputBytes: 5,
  ...event,
});

export const decisionEvent = (event: Partial<DecisionEvent> = {}): DecisionEvent => ({
  hook: "check",
  plugin: "p",
  version: "1",
  digest: "d".repeat(64),
  function: "check",
  request: "r-1",
  action: "reject",
  reason: "no",
  ...event,
});

export const lifecycleEvent = (event: Partial<LifecycleEvent> = {}): LifecycleEvent => ({
  plugin: "p",
  version: "1",
  digest: "d".repeat(64),
  from: undefined,
  to: "ready",
  reason: "loaded",
  ...event,
});
