// Log lines of a server that runs: for people, or as JSON for machines; no line has a secret that is known.

import { LOG_LEVELS, type LogLevel } from "../../api/guest-log.ts";
import type { GatewayLogger } from "../../gateway/index.ts";
import { jsonText, paint, visible } from "../terminal.ts";

/** Options of {@link openLog}. */
export interface LogOptions {
  /** Least severe level that is written; "off" writes nothing. @default "info" */
  readonly level?: LogLevel | "off";
  /** One JSON object for each line. @default false */
  readonly json?: boolean;
  /** Fields of every line. @default none */
  readonly fields?: object;
}

/** Where lines go. */
export interface ServerLog extends GatewayLogger {
  /** Keeps values out of all lines from now on, in place of those before. Values of less than 8 characters are left: they are words. */
  hide(secrets: readonly string[]): void;
  /** Writes what is still waiting, before the process ends. */
  flush(): void;
}

/** Writes one line that is to be written. */
type Write = (level: LogLevel, fields: object, message: string) => void;

const HIDDEN = "[hidden]";
const MIN_SECRET_CHARS = 8;
/** Bytes of lines that wait for a slow reader; more are dropped. */
const MAX_WAITING_BYTES = 16 << 20;
const COLOURS = { trace: "dim", debug: "dim", info: "green", warn: "yellow", error: "red" } as const;

/** Opens the log, on stderr. */
export async function openLog({ level = "info", json = false, fields = {} }: LogOptions = {}): Promise<ServerLog> {
  const { write, flush } = json ? await jsonLines(fields) : humanLines(fields);
  const least = level === "off" ? Number.POSITIVE_INFINITY : LOG_LEVELS.indexOf(level);
  let pattern: RegExp | undefined;
  const clean = (text: string): string => (pattern === undefined ? text : text.replace(pattern, HIDDEN));
  const at =
    (name: LogLevel) =>
    (first: object | string, second?: string): void => {
      if (LOG_LEVELS.indexOf(name) < least) return;
      if (typeof first === "string") write(name, {}, clean(first));
      else write(name, pattern === undefined ? first : cleaned(first, clean), clean(second ?? ""));
    };
  return {
    trace: at("trace"),
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    hide: (secrets) => {
      const known = secrets.filter((secret) => secret.length >= MIN_SECRET_CHARS).toSorted((a, b) => b.length - a.length);
      pattern = known.length === 0 ? undefined : new RegExp(known.map(escaped).join("|"), "g");
    },
    flush,
  };
}

/** Text as a pattern that matches it. */
function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`);
}

/** Fields with clean texts; they are flat. */
function cleaned(fields: object, clean: (text: string) => string): object {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, typeof value === "string" ? clean(value) : value]));
}

/** Loaded only where it is wanted: other commands do without. */
async function jsonLines(base: object): Promise<{ readonly write: Write; readonly flush: () => void }> {
  const { pino } = await import("pino");
  const destination = pino.destination({ fd: 2, sync: false, maxLength: MAX_WAITING_BYTES });
  const log = pino(
    { level: "trace", base, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } },
    destination,
  );
  const flush = (): void => {
    try {
      destination.flushSync();
    } catch {
      // nothing was written yet, or nobody reads any more
    }
  };
  return { write: (level, fields, message) => log[level](fields, message), flush };
}

/** `12:34:56.789 info  request  status=200 model=echo` */
function humanLines(base: object): { readonly write: Write; readonly flush: () => void } {
  const stream = process.stderr;
  const write: Write = (level, fields, message) => {
    const time = new Date().toISOString().slice(11, 23);
    const members = Object.entries({ ...fields, ...base }).filter(([, value]) => value !== undefined && value !== null && value !== "");
    const pairs = members.map(([name, value]) => ` ${paint(stream, "dim", `${name}=`)}${textOf(value)}`);
    stream.write(`${paint(stream, "dim", time)} ${paint(stream, COLOURS[level], level.padEnd(5))} ${visible(message)}${pairs.join("")}\n`);
  };
  return { write, flush: () => {} };
}

function textOf(value: unknown): string {
  return typeof value === "string" && /^[\w./:@+-]+$/.test(value) ? value : jsonText(value);
}
