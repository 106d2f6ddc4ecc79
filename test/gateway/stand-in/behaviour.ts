// How the stand-in answers: what can be set for all requests, for a model, for a key, or for one request by header.

/** Statuses from 400 to 599, or what goes wrong otherwise. */
export type Fault = number | (typeof FAULTS)[number];

/** Faults that are no status. */
export const FAULTS = [
  /** Text that is no JSON, or for streams an event of it. */
  "malformed_json",
  /** JSON that ends in the middle; for streams the last event. */
  "truncated_json",
  /** A byte that UTF-8 does not have, inside the text. */
  "bad_utf8",
  /** The connection ends before, in the middle of, and after the head. */
  "drop_before_head",
  "drop_mid_head",
  "drop_mid_body",
  /** Streams end properly as far as HTTP goes, without the events that belong there. */
  "no_end",
  /** One byte at a time, `chunkDelayMs` apart, or 10 ms. */
  "trickle",
  /** No head, ever. */
  "never",
  /** A head and half of the body, and then nothing. */
  "stall",
  /** A text of `hugeBytes`. */
  "huge_body",
  /** `text/html`, for a body of that kind. */
  "wrong_content_type",
  /** 307 to a path of the stand-in that would work. */
  "redirect",
  /** An event that says that the model is overloaded, in the middle of a stream; 529 for other requests. */
  "error_in_stream",
] as const;

/** What can be set. All of it may come as JSON. */
export interface Behaviour {
  /** Milliseconds before the head. @default 0 */
  readonly latencyMs?: number;
  /** Milliseconds between writes of the body. @default a turn of the event loop */
  readonly chunkDelayMs?: number;
  /** Deltas that the text of a stream is in. @default one for each word */
  readonly chunks?: number;
  /** Cuts the body of every answer: after so many bytes; inside each character of several bytes; inside each line. @default each event is a write */
  readonly split?: number | "utf8" | "lines";
  /** The whole body in one write, streams too. @default false */
  readonly burst?: boolean;
  /** Lines of streams end with CR LF. @default false */
  readonly crlf?: boolean;
  /** Comments between the events of streams, and pings where the interface has them. @default false */
  readonly pings?: boolean;
  /** Answers with this text in place of an echo. */
  readonly text?: string;
  /** Answers with so many bytes of text, made once; then the request's JSON is not read. */
  readonly bytes?: number;
  readonly fault?: Fault;
  /** Requests with the fault; the others go well. Counted by `scenario`. @default all */
  readonly failFirst?: number;
  /** What `failFirst` counts apart from others. @default "" */
  readonly scenario?: string;
  /** What failures have in `retry-after` in seconds, in `retry-after` as a date so many seconds ahead, or in `retry-after-ms`. */
  readonly retryAfterSecs?: number;
  readonly retryAfterDateSecs?: number;
  readonly retryAfterMs?: number;
  /** @default 64 MiB */
  readonly hugeBytes?: number;
}

const KINDS: Readonly<Record<keyof Behaviour, "number" | "boolean" | "string" | "split" | "fault">> = {
  latencyMs: "number",
  chunkDelayMs: "number",
  chunks: "number",
  split: "split",
  burst: "boolean",
  crlf: "boolean",
  pings: "boolean",
  text: "string",
  bytes: "number",
  fault: "fault",
  failFirst: "number",
  scenario: "string",
  retryAfterSecs: "number",
  retryAfterDateSecs: "number",
  retryAfterMs: "number",
  hugeBytes: "number",
};

function fits(kind: (typeof KINDS)[keyof Behaviour], value: unknown): boolean {
  if (kind === "split") return value === "utf8" || value === "lines" || (Number.isSafeInteger(value) && (value as number) > 0);
  if (kind === "fault")
    return FAULTS.some((name) => name === value) || (Number.isSafeInteger(value) && (value as number) >= 400 && (value as number) <= 599);
  return kind === "number" ? typeof value === "number" && value >= 0 : typeof value === kind;
}

/** Checks what may be from anywhere. @throws Error that names what is wrong, so that a test with a typing error fails */
export function checkBehaviour(value: unknown): Behaviour {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("a behaviour must be an object");
  for (const [name, setting] of Object.entries(value)) {
    if (!Object.hasOwn(KINDS, name)) throw new Error(`a behaviour has no "${name}"`);
    if (!fits(KINDS[name as keyof Behaviour], setting)) throw new Error(`a behaviour cannot have ${name}: ${JSON.stringify(setting)}`);
  }
  return value;
}

/** The text of the header `x-stand-in`. */
export function readBehaviour(text: string): Behaviour {
  return checkBehaviour(JSON.parse(text));
}
