// Hosts for the tests of the manager: hooks, plugins that say who they are, and what is published of them.

import { subscribe, unsubscribe } from "node:diagnostics_channel";

import { CHANNELS, type LifecycleEvent } from "../../src/api/channels.ts";
import { hook } from "../../src/hooks/definition.ts";
import { type Host, type HostOptions, createHost } from "../../src/manager/create-host.ts";
import { PAUSE_MODULE, action, guest } from "../hooks/guests.ts";

export const HOOKS = { check: hook.first<unknown, unknown>(), tell: hook.all<unknown>(), wrap: hook.bracket<unknown, unknown>() };

export type TestHost = Host<typeof HOOKS>;

export const open = (options: Partial<HostOptions<typeof HOOKS>> = {}): Promise<TestHost> => createHost({ hooks: HOOKS, ...options });

export const answer = (value: unknown): string => action("answer", { value });

/** A plugin that answers `check` with this. */
export const answering = (value: unknown): Promise<Uint8Array<ArrayBuffer>> => guest({ check: answer(value) });

/** A gate that the host function `pause` of plugins waits at. */
export interface Gate {
  readonly hostFunctions: { readonly [PAUSE_MODULE]: { pause: () => Promise<void> } };
  /** Settled when somebody waits. */
  readonly reached: Promise<void>;
  readonly open: () => void;
}

export function gate(): Gate {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  const pause = async (): Promise<void> => {
    reached.resolve();
    await opened.promise;
  };
  return { hostFunctions: { [PAUSE_MODULE]: { pause } }, reached: reached.promise, open: opened.resolve };
}

/** Collects changes of state as they are published; `until` waits for the first that fits. */
export class Lifecycles implements Disposable {
  readonly events: LifecycleEvent[] = [];
  readonly #waiting: { readonly fits: (event: LifecycleEvent) => boolean; readonly resolve: (event: LifecycleEvent) => void }[] = [];
  readonly #listen = (message: unknown): void => {
    const event = message as LifecycleEvent;
    this.events.push(event);
    for (const each of this.#waiting.slice())
      if (each.fits(event)) {
        this.#waiting.splice(this.#waiting.indexOf(each), 1);
        each.resolve(event);
      }
  };

  constructor() {
    subscribe(CHANNELS.lifecycle, this.#listen);
  }

  until(fits: (event: LifecycleEvent) => boolean): Promise<LifecycleEvent> {
    return new Promise((resolve) => this.#waiting.push({ fits, resolve }));
  }

  /** `1:loading→ready`, in the order of time. */
  get changes(): string[] {
    return this.events.filter(({ from }) => from !== undefined).map(({ version, from, to }) => `${version}:${from}→${to}`);
  }

  [Symbol.dispose](): void {
    unsubscribe(CHANNELS.lifecycle, this.#listen);
  }
}
