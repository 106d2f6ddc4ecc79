// What a function of a native plugin is given besides its input.

import type { Logger } from "../abi/guest.ts";
import { isRequestContext } from "../api/request.ts";
import type { RunnerCall } from "../host/runner.ts";
import { callLog } from "./call-log.ts";
import { type NativeContext, type NativePlugin, NO_SERVICES } from "./options.ts";
import { type ServiceUser, bindServices } from "./service-calls.ts";

/** The call that a context belongs to. */
export interface ContextOwner extends ServiceUser {
  readonly signal: AbortSignal;
}

/** The context of one call; its parts are made when they are asked for, since most calls need none of them. */
export class NativeCallContext implements NativeContext {
  readonly #plugin: NativePlugin;
  readonly #call: RunnerCall;
  readonly #owner: ContextOwner;
  #request: NativeContext["request"];
  #services: NativeContext["services"] | undefined;
  #log: Logger | undefined;

  constructor(plugin: NativePlugin, call: RunnerCall, owner: ContextOwner) {
    this.#plugin = plugin;
    this.#call = call;
    this.#owner = owner;
    Object.freeze(this);
  }

  get plugin(): string {
    return this.#plugin.state.name;
  }

  get config(): NativeContext["config"] {
    return this.#plugin.config;
  }

  get request(): NativeContext["request"] {
    const { context } = this.#call;
    if (this.#request === undefined && isRequestContext(context)) {
      const { id, traceparent } = context;
      this.#request = Object.freeze({ id, traceparent });
    }
    return this.#request;
  }

  get services(): NativeContext["services"] {
    const { services } = this.#plugin.state;
    return (this.#services ??= services === undefined ? NO_SERVICES : bindServices(services, this.#owner));
  }

  get log(): Logger {
    return (this.#log ??= callLog(this.#plugin.state, this.#call.entry));
  }

  get signal(): AbortSignal {
    return this.#owner.signal;
  }
}

Object.freeze(NativeCallContext.prototype);
