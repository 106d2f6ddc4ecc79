// Asks the targets of a request, under the policies of the gateway.

import type { Targets } from "./fallbacks.ts";
import type { Attempt } from "./policies/attempt.ts";
import { runAttempts } from "./policies/run-attempts.ts";
import type { Turn } from "./turn.ts";

/** Runs attempts until one gives something. @throws MortiseError as `runAttempts` */
export function attemptAll<T>(turn: Turn, run: (attempt: Attempt) => Promise<T>, { all: targets }: Targets): Promise<T> {
  const { setup, core, exchange, client } = turn;
  return runAttempts(
    {
      targets,
      policy: setup.policy,
      bound: { limitMs: core.limits.timeoutMs, leftMs: turn.timeLeftMs },
      signal: exchange.signal,
      clock: core.clock,
      client,
      guards: setup.guardsOf,
      onFailed: ({ target, key, index, failure, next, waitMs }) => {
        if (next === "none" || core.logger === undefined) return;
        const { provider, model } = target;
        core.logger.warn(
          { request_id: turn.id, provider, model, key, attempt: index + 1, kind: failure.kind, next, wait_ms: waitMs },
          failure.message,
        );
      },
    },
    run,
  );
}
