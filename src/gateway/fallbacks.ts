// Who is asked if the first does not answer: those that the client names, or a plugin in their place.

import { type LlmRequest, isMortiseError } from "mortise";

import type { Attempt } from "./policies/attempt.ts";
import type { Target } from "./policies/router.ts";
import type { Turn } from "./turn.ts";

/** Targets of a request, which plugins may change while the first of them is asked. */
export class Targets {
  /** In the order in which they are asked. */
  readonly all: Target[];
  /** Those that the model's name means, whatever the fallbacks are. */
  readonly #named: readonly Target[];

  /** @throws MortiseError MORTISE_GATEWAY_NO_MODEL or MORTISE_GATEWAY_REQUEST */
  constructor({ setup }: Pick<Turn, "setup">, { model, fallbacks }: LlmRequest) {
    this.#named = setup.route(model);
    this.all = [...this.#named];
    this.#fallBackTo(setup.fallbacks(fallbacks));
  }

  /**
   * Takes the fallbacks that plugins left in a request, where they are others than before; later ones, of a request that is a
   * fallback already, count for nothing. What means nothing is told to the log, and the fallbacks stay what they were.
   */
  take({ setup, core, id }: Turn, { target }: Attempt, before: LlmRequest, { fallbacks }: LlmRequest): void {
    if (target !== this.all[0] || isSame(before.fallbacks, fallbacks)) return;
    try {
      this.#fallBackTo(setup.fallbacks(fallbacks));
    } catch (error) {
      if (!isMortiseError(error)) throw error;
      core.logger?.warn({ request_id: id, code: error.code }, `the fallbacks of a plugin are left aside: ${error.message}`);
    }
  }

  #fallBackTo(fallbacks: readonly Target[]): void {
    this.all.splice(this.#named.length);
    for (const fallback of fallbacks) if (!this.all.some((target) => isOne(target, fallback))) this.all.push(fallback);
  }
}

function isOne(a: Target, b: Target): boolean {
  return a.provider === b.provider && a.model === b.model;
}

function isSame(before: unknown, after: unknown): boolean {
  return before === after || JSON.stringify(before ?? []) === JSON.stringify(after ?? []);
}
