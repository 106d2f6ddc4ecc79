// Log lines of plugins: log.

import { LOG_LEVELS, type LogBudget, type Logger, admitLine, writeLine } from "../api/guest-log.ts";
import type { ServiceTable } from "../api/services.ts";
import { immediate } from "./define-service.ts";
import { argumentsOf } from "./service-arguments.ts";

/** What the log of one plugin works with. */
export interface LogScope {
  /** Read for each line. */
  readonly logger: Logger | undefined;
  /** Least severe level that reaches the logger, as an index of {@link LOG_LEVELS}. */
  readonly logLevel: number;
  /** Bytes of log text for each call. */
  readonly logBytes: number;
  /** Hides what must not be printed. */
  readonly redact: ((text: string) => string) | undefined;
  /** Told of each line that is dropped. */
  readonly onDropped: (() => void) | undefined;
}

/** The function `log`, with levels from 0 (trace) to 4 (error). */
export function logServices(scope: LogScope): ServiceTable {
  const { logLevel, logBytes, redact, onDropped } = scope;
  const checks = argumentsOf("log");
  // A call has one signal, whatever object describes it.
  const budgets = new WeakMap<AbortSignal, LogBudget>();
  const budgetOf = (signal: AbortSignal): LogBudget => {
    let budget = budgets.get(signal);
    if (budget === undefined) budgets.set(signal, (budget = { bytes: 0, noticed: false }));
    return budget;
  };
  return {
    log: immediate(["i32", "text"], "none", (call, level, message) => {
      const index = checks.whole(call, "level", level, [0, LOG_LEVELS.length - 1]);
      const text = checks.text(call, "message", message, Number.POSITIVE_INFINITY);
      const { logger } = scope;
      if (logger === undefined || index < logLevel) return undefined;
      const target = { plugin: call.plugin, function: call.function, logger, limitBytes: logBytes };
      if (admitLine(target, budgetOf(call.signal), Buffer.byteLength(text))) {
        // Before the line is cut: half a secret would not be recognised.
        writeLine(logger, LOG_LEVELS[index] ?? "error", redact === undefined ? text : redact(text));
      } else onDropped?.();
      return undefined;
    }),
  };
}
