// The log of one call of a native plugin, limited as for every plugin.

import { LOG_LEVELS, type LogLevel, type Logger, MAX_LOG_CHARS, admitLine, writeLine } from "../api/guest-log.ts";
import { printable } from "../api/errors.ts";
import type { NativeState } from "./options.ts";

/** Log functions for one call; what it logs after its end counts as well. */
export function callLog(state: NativeState, fn: string): Logger {
  const { name: plugin, logger, logLevel, limits } = state;
  const budget = { bytes: 0, noticed: false };
  const log = (level: LogLevel, message: unknown): void => {
    if (logger === undefined || LOG_LEVELS.indexOf(level) < logLevel) return;
    const text = printable(message, MAX_LOG_CHARS);
    const target = { plugin, function: fn, logger, limitBytes: limits.logBytes };
    if (admitLine(target, budget, Buffer.byteLength(text))) writeLine(logger, level, text);
    else state.droppedLogs++;
  };
  return Object.freeze(Object.fromEntries(LOG_LEVELS.map((level) => [level, (message: unknown) => log(level, message)])) as unknown as Logger);
}
