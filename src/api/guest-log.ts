// Log lines of guests: levels, limits, and how a line reaches the operator's logger.

import { MortiseError, printable } from "./errors.ts";

/** Levels of guest logs, least severe first. */
export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error"] as const;
/** A level of guest logs. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Receives guest logs; `console` and pino fit. Text is made safe to print before it arrives. */
export type Logger = Readonly<Record<LogLevel, (message: string) => void>>;

/** Characters of one line; what is longer is cut. */
export const MAX_LOG_CHARS = 8192;
/** Bytes that a line counts beyond its text, so that empty lines are limited too. */
const LINE_OVERHEAD = 16;

const nothing = (): void => {};

/** What one call has logged so far. */
export interface LogBudget {
  bytes: number;
  noticed: boolean;
}

/** Whose line it is, and where it goes. */
export interface LogTarget {
  readonly plugin: string;
  readonly function: string;
  readonly logger: Logger;
  /** Bytes for each call. */
  readonly limitBytes: number;
}

/** Takes a line of so many bytes into account; false if it is to be dropped, of which the logger gets one notice a call. */
export function admitLine({ plugin, function: fn, logger, limitBytes }: LogTarget, budget: LogBudget, bytes: number): boolean {
  const logged = budget.bytes + bytes + LINE_OVERHEAD;
  if (logged <= limitBytes) {
    budget.bytes = logged;
    return true;
  }
  if (!budget.noticed) {
    budget.noticed = true;
    const notice = new MortiseError("MORTISE_LOG_LIMIT", { plugin, function: fn, limit: limitBytes });
    writeLine(logger, "warn", `${notice.code}: ${notice.message}`);
  }
  return false;
}

/** Makes a text safe to print, and hands it to a logger; one that fails is the operator's trouble, not the guest's. */
export function writeLine(logger: Logger, level: LogLevel, text: string): void {
  try {
    const written: unknown = logger[level](printable(text, MAX_LOG_CHARS));
    if (typeof written === "object" && written !== null && "then" in written) void Promise.resolve(written).catch(nothing);
  } catch (error) {
    // The guest's recursion, met here by chance.
    if (error instanceof RangeError && error.message.startsWith("Maximum call stack")) throw error;
  }
}
