// Log levels, and the way of a line from the core to the user's logger.

import { type LogLevel as CoreLevel, LOG_LEVELS, type Logger } from "../abi/guest.ts";
import { invalidOption } from "../api/limits.ts";
import { explain } from "./failures.ts";
import type { LogLevel } from "./options.ts";

const LEVELS: readonly LogLevel[] = [...LOG_LEVELS, "silent"];

/** Level of one plugin's logs; host functions may change it. */
export interface LogGate {
  level: LogLevel;
}

/** @throws TypeError with code MORTISE_INVALID_OPTION for what is no level */
export function checkLevel(level: unknown): LogLevel {
  const found = LEVELS.find((known) => known === level);
  if (found !== undefined) return found;
  const wanted = LEVELS.map((known) => `"${known}"`).join(", ");
  const error = invalidOption("logLevel", typeof level === "string" ? `"${level}"` : typeof level, `one of ${wanted}`);
  throw explain(error, { kind: TypeError, text: `unrecognized log level "${String(level)}"; expected one of ${wanted}` });
}

/** A logger for the core that passes on what the gate lets through; the user's may lack methods. */
export function gatedLogger(logger: Partial<Logger>, gate: LogGate): Logger {
  const write =
    (level: CoreLevel) =>
    (message: string): unknown =>
      LEVELS.indexOf(level) < LEVELS.indexOf(gate.level) ? undefined : logger[level]?.(message);
  return { trace: write("trace"), debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}
