// Checks what a child reports, field by field, before anything acts on it: a child process may be in its guest's hands.

import { LOG_LEVELS } from "../abi/guest.ts";
import { type Packet, ProtocolError, type Report, type Section, type VariableChange, type WireValue } from "./protocol.ts";
import { fromWire, isRecord } from "./wire-values.ts";

/** A packet as it came, its header parsed from JSON and nothing more. */
export type RawPacket = Packet<unknown>;

const MAX_VALUES = 1000;
const MAX_ID = 0xffff_ffff;

type Header = Readonly<Record<string, unknown>>;

/**
 * The report in a packet.
 *
 * @throws ProtocolError if it is none
 */
export function readReport(packet: RawPacket): Packet<Report> {
  const { header, sections } = packet;
  if (!isRecord(header)) throw new ProtocolError("a header is no object");
  const type = text(header, "type");
  const read = Object.hasOwn(READERS, type) ? READERS[type as Report["type"]] : undefined;
  if (read === undefined) throw new ProtocolError(`a report of the unknown type "${type.slice(0, 32)}"`);
  const { report, own } = read(header);
  const variables = readVariables(header["variables"]);
  const kept = variables?.reduce((count, [, value]) => count + value, 0) ?? 0;
  if (sections.length !== own + kept) throw new ProtocolError(`a report with ${sections.length} sections instead of ${own + kept}`);
  return { header: variables === undefined ? report : ({ ...report, variables } as Report), sections };
}

/** Divides sections into those of the packet itself and the values of its variables. */
export function splitSections({ header, sections }: Packet<object>): { readonly own: readonly Section[]; readonly values: readonly Section[] } {
  const { variables } = header as { readonly variables?: readonly VariableChange[] };
  if (variables === undefined) return { own: sections, values: [] };
  const at = sections.length - variables.reduce((count, [, kept]) => count + kept, 0);
  return { own: sections.slice(0, at), values: sections.slice(at) };
}

interface Read {
  readonly report: Report;
  /** Sections that the packet has for itself. */
  readonly own: number;
}

const READERS: Readonly<Record<Report["type"], (header: Header) => Read>> = {
  booted: () => ({ report: { type: "booted" }, own: 0 }),
  done: readDone,
  host: readHost,
  http: readHttp,
  stdin: (header) => ({ report: { type: "stdin", id: whole(header, "id", MAX_ID), maxBytes: whole(header, "maxBytes") }, own: 0 }),
  log: (header) => ({
    report: { type: "log", level: whole(header, "level", LOG_LEVELS.length - 1), message: text(header, "message") },
    own: 0,
  }),
  output: (header) => ({ report: { type: "output", stream: whole(header, "stream", 2) === 1 ? 1 : 2 }, own: 1 }),
  result: readResult,
};

function readDone(header: Header): Read {
  const output = flag(header, "output");
  const { quotas } = header;
  return {
    report: {
      type: "done",
      id: whole(header, "id", MAX_ID),
      ...readError(header),
      ...(output ? { output } : {}),
      fuel: amount(header, "fuel"),
      inputBytes: whole(header, "inputBytes"),
      memoryBytes: whole(header, "memoryBytes"),
      droppedLogs: whole(header, "droppedLogs"),
      poisoned: flag(header, "poisoned"),
      ...(quotas === undefined ? {} : { quotas: list(quotas, MAX_VALUES, readUse) }),
    },
    own: output ? 1 : 0,
  };
}

function readUse(value: unknown): readonly [bytes: number, entries: number] {
  if (!Array.isArray(value) || value.length !== 2) throw new ProtocolError("the use of a quota is no pair");
  const [bytes, entries] = value as unknown[];
  return [wholeNumber(bytes, Number.MAX_SAFE_INTEGER, "quotas"), wholeNumber(entries, MAX_ID, "quotas")];
}

function readHost(header: Header): Read {
  const blocks = header["blocks"] === undefined ? undefined : list(header["blocks"], MAX_VALUES, (value) => wholeNumber(value, MAX_VALUES, "blocks"));
  return {
    report: {
      type: "host",
      id: whole(header, "id", MAX_ID),
      index: whole(header, "index"),
      values: list(header["values"], MAX_VALUES, wireValue),
      ...(blocks === undefined ? {} : { blocks }),
      ...(header["fuel"] === undefined ? {} : { fuel: amount(header, "fuel") }),
    },
    own: blocks?.length ?? 0,
  };
}

function readHttp(header: Header): Read {
  const body = flag(header, "body");
  return {
    report: { type: "http", id: whole(header, "id", MAX_ID), ...(body ? { body } : {}), timeoutMs: amount(header, "timeoutMs") },
    own: body ? 2 : 1,
  };
}

function readResult(header: Header): Read {
  const { value } = header;
  const bytes = flag(header, "bytes");
  return {
    report: {
      type: "result",
      ...(value === undefined ? {} : { value: wireValue(value) }),
      ...(bytes ? { bytes } : {}),
      ...readError(header),
    },
    own: bytes ? 1 : 0,
  };
}

/** An error is checked when it is made one of ours. */
function readError(header: Header): { error?: { code: string; details: Readonly<Record<string, unknown>> } } {
  const { error } = header;
  if (error === undefined) return {};
  if (!isRecord(error) || !isRecord(error["details"])) throw new ProtocolError(`"error" is no error`);
  return { error: { code: text(error, "code"), details: error["details"] } };
}

function readVariables(value: unknown): readonly VariableChange[] | undefined {
  if (value === undefined) return undefined;
  return list(value, MAX_ID, (change) => {
    if (!Array.isArray(change) || change.length !== 2) throw new ProtocolError("a change of a variable is no pair");
    const [name, kept] = change as unknown[];
    if (kept !== 0 && kept !== 1) throw new ProtocolError("a change of a variable says neither 0 nor 1");
    return [string(name), kept] as const;
  });
}

function whole(header: Header, name: string, maximum: number = Number.MAX_SAFE_INTEGER): number {
  return wholeNumber(header[name], maximum, name);
}

function wholeNumber(value: unknown, maximum: number, name: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0 || value > maximum) {
    throw new ProtocolError(`"${name}" is no whole number from 0 to ${maximum}`);
  }
  return value;
}

function amount(header: Header, name: string): number {
  const value = header[name];
  if (typeof value !== "number" || !(value >= 0)) throw new ProtocolError(`"${name}" is no amount`);
  return value;
}

function text(header: Header, name: string): string {
  return string(header[name]);
}

function string(value: unknown): string {
  if (typeof value !== "string") throw new ProtocolError("a text is none");
  return value;
}

function flag(header: Header, name: string): boolean {
  const value = header[name];
  if (value !== undefined && typeof value !== "boolean") throw new ProtocolError(`"${name}" is neither true nor false`);
  return value === true;
}

function wireValue(value: unknown): WireValue {
  if (fromWire(value) === undefined) throw new ProtocolError("a value is no number");
  return value as WireValue;
}

function list<T>(value: unknown, maximum: number, read: (item: unknown) => T): T[] {
  if (!Array.isArray(value) || value.length > maximum) throw new ProtocolError(`a list is none, or has more than ${maximum} items`);
  return value.map(read);
}
