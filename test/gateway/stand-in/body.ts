// The bytes of an answer, whole and cut into what is written at once, with what is wrong with them.

import type { Reply, SseEvent } from "./answer.ts";
import type { Behaviour } from "./behaviour.ts";

/** Stands for text that is put in when bytes are written: of no word of any answer. */
export const MARKER = "\u{e000}";
const MARKER_BYTES = Buffer.from(MARKER);

/** Bytes to be written one after the other; `repeat` is written so often that it makes up that many bytes. */
export type Piece = Uint8Array | { readonly repeat: Uint8Array; readonly bytes: number };

/** What is sent. */
export interface Body {
  readonly type: string;
  readonly pieces: readonly Piece[];
  /** The connection ends after these pieces, without what says that the body is whole; or nothing follows. */
  readonly ending?: "drop" | "stall";
}

function sse({ event, data }: SseEvent, end: string): Buffer {
  return Buffer.from(`${event === undefined ? "" : `event: ${event}${end}`}data: ${data}${end}${end}`);
}

function isHalfway(index: number, count: number): boolean {
  return index === Math.floor(count / 2);
}

/** Events with what is wrong with them. */
function broken(events: readonly SseEvent[], fault: Behaviour["fault"], failure: SseEvent): readonly SseEvent[] {
  const half = events.filter((_event, index) => index < Math.floor(events.length / 2));
  const middle = events.find((_event, index) => isHalfway(index, events.length));
  switch (fault) {
    case "malformed_json":
      return events.map((event, index) => (isHalfway(index, events.length) ? { ...event, data: "{not: json" } : event));
    case "truncated_json":
      return middle === undefined ? half : [...half, { ...middle, data: middle.data.slice(0, Math.ceil(middle.data.length / 2)) }];
    case "error_in_stream":
      return [...half, failure];
    case "no_end":
    case "drop_mid_body":
    case "stall":
      return half;
    default:
      return events;
  }
}

/** Makes the body of a reply. `failure` is what the interface says in the middle of a stream that fails. */
export function makeBody(reply: Reply, behaviour: Behaviour, failure: SseEvent): Body {
  const { fault, crlf = false, pings = false } = behaviour;
  const ending = fault === "drop_mid_body" ? { ending: "drop" as const } : fault === "stall" ? { ending: "stall" as const } : {};
  if (reply.events === undefined) {
    const whole = Buffer.from(JSON.stringify(reply.json));
    const half = whole.subarray(0, Math.floor(whole.length / 2));
    const sent = fault === "malformed_json" ? Buffer.from("{not: json") : fault === "truncated_json" || "ending" in ending ? half : whole;
    return { type: "application/json", pieces: cut([sent], behaviour), ...ending };
  }
  const end = crlf ? "\r\n" : "\n";
  const events = broken(reply.events, fault, failure);
  const ping = Buffer.from(
    reply.events[0]?.event === "message_start" ? `event: ping${end}data: {"type": "ping"}${end}${end}: comment${end}${end}` : `: comment${end}${end}`,
  );
  const bytes = events.flatMap((event, index) => (pings && index > 0 ? [ping, sse(event, end)] : [sse(event, end)]));
  return { type: "text/event-stream; charset=utf-8", pieces: cut(bytes, behaviour), ...ending };
}

/** Puts in what the marker stands for, and cuts as asked. */
function cut(writes: readonly Buffer[], { fault, split, burst = false, hugeBytes = 64 << 20 }: Behaviour): readonly Piece[] {
  if (fault === "huge_body") return hugely(Buffer.concat(writes), hugeBytes);
  const marked = fault === "bad_utf8" ? writes.map((bytes) => replaceMarkers(bytes)) : writes;
  if (fault === "trickle") return cutAt(Buffer.concat(marked), (bytes) => bytes.keys());
  if (burst) return [Buffer.concat(marked)];
  if (split === undefined) return marked;
  return cutAt(Buffer.concat(marked), (bytes) => cutPlaces(bytes, split));
}

function replaceMarkers(bytes: Buffer): Buffer {
  // latin1 keeps each byte a character, so that text can be replaced by what is no UTF-8.
  return Buffer.from(bytes.toString("latin1").replaceAll(MARKER_BYTES.toString("latin1"), "\u{ff}"), "latin1");
}

function hugely(whole: Buffer, hugeBytes: number): readonly Piece[] {
  const at = whole.indexOf(MARKER_BYTES);
  if (at === -1) return [whole];
  return [whole.subarray(0, at), { repeat: Buffer.alloc(64 << 10, "x"), bytes: hugeBytes }, whole.subarray(at + MARKER_BYTES.length)];
}

function* cutPlaces(bytes: Buffer, split: number | "utf8" | "lines"): Generator<number> {
  if (typeof split === "number") {
    for (let at = split; at < bytes.length; at += split) yield at;
    return;
  }
  let lineStart = 0;
  for (const [at, byte] of bytes.entries()) {
    // The first byte of a character of several has its two highest bits set.
    if (split === "utf8" && byte >= 0xc0) yield at + 1;
    if (split === "lines" && byte === 0x0a) {
      if (at - lineStart > 1) yield lineStart + Math.floor((at - lineStart) / 2);
      lineStart = at + 1;
    }
  }
}

function cutAt(bytes: Buffer, places: (bytes: Buffer) => Iterable<number>): readonly Buffer[] {
  const pieces: Buffer[] = [];
  let start = 0;
  for (const place of [...places(bytes), bytes.length]) {
    if (place > start) pieces.push(bytes.subarray(start, place));
    start = place;
  }
  return pieces;
}
