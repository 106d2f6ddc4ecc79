// Subscribes to channels, each with the type of what is published there.

import { subscribe, unsubscribe } from "node:diagnostics_channel";

import type { BeginEvent, CHANNELS, CallEvent, DecisionEvent, HttpEvent, LifecycleEvent, LogEvent, RunEvent, ServiceEvent } from "../api/channels.ts";
import type { HookFailure } from "../hooks/failure.ts";

/** What is published, by channel. */
interface EventsByChannel {
  readonly [CHANNELS.begin]: BeginEvent;
  readonly [CHANNELS.call]: CallEvent;
  readonly [CHANNELS.run]: RunEvent;
  readonly [CHANNELS.failure]: HookFailure;
  readonly [CHANNELS.decision]: DecisionEvent;
  readonly [CHANNELS.lifecycle]: LifecycleEvent;
  readonly [CHANNELS.service]: ServiceEvent;
  readonly [CHANNELS.http]: HttpEvent;
  readonly [CHANNELS.log]: LogEvent;
}

/** Listeners by channel. */
export type Listeners = { readonly [Name in keyof EventsByChannel]?: (event: EventsByChannel[Name]) => void };

/** Subscribes listeners, and gives what unsubscribes them. */
export function subscribeAll(listeners: Listeners): () => void {
  const all = Object.entries(listeners).map(([name, listener]) => {
    const listen = listener as (event: never) => void;
    const guarded = (event: unknown): void => {
      try {
        listen(event as never);
      } catch {
        // Thrown from here it would end the process. Others can publish on the channel too, and what they like.
      }
    };
    return [name, guarded] as const;
  });
  for (const [name, listener] of all) subscribe(name, listener);
  return () => {
    for (const [name, listener] of all) unsubscribe(name, listener);
  };
}
