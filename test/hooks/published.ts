// What is published of hooks: failures, and what plugins decide.

import { subscribe, unsubscribe } from "node:diagnostics_channel";

import { CHANNELS, type DecisionEvent } from "../../src/api/channels.ts";
import { HOOK_CHANNEL, type HookFailure } from "../../src/hooks/failure.ts";

/** Collects the failures that are published while some work runs. */
export function failuresDuring(work: () => Promise<unknown>): Promise<HookFailure[]> {
  return publishedDuring<HookFailure>(HOOK_CHANNEL, work);
}

/** Collects who decides what while some work runs, with the names of attributes that it changes. */
export async function decisionsDuring(work: () => Promise<unknown>): Promise<string[]> {
  const decisions = await publishedDuring<DecisionEvent>(CHANNELS.decision, work);
  return decisions.map(({ plugin, action, attributes = [] }) => [plugin, action, ...attributes].join(" "));
}

async function publishedDuring<Event>(channel: string, work: () => Promise<unknown>): Promise<Event[]> {
  const events: Event[] = [];
  const listen = (message: unknown): void => void events.push(message as Event);
  subscribe(channel, listen);
  try {
    await work();
  } finally {
    unsubscribe(channel, listen);
  }
  return events;
}
