// The functions that the host offers to providers in `extism:host/user`. All parameters and results are blocks.

import type { CallContext, HostFunction, LogLevel, Logger } from "../abi/guest.ts";
import { LOG_LEVELS } from "../abi/guest.ts";
import { MortiseError, isMortiseError, printable } from "../api/errors.ts";
import type { HttpCall, HttpRequest, HttpResponse, StreamingHttpService } from "../api/http.ts";
import { readStreamItem } from "./chat-shapes.ts";
import { hiddenOf } from "./hidden-key.ts";
import { isSuccess, readRequestBox, responseBox } from "./http-wire.ts";
import { MAX_STREAMS, ProviderCall } from "./provider-call.ts";
import { transportPayload } from "./provider-errors.ts";
import { type ErrorPayload } from "./payload.ts";
import { ShapeReader, parseJson } from "./shapes.ts";
import { readAll } from "./stream-body.ts";
import { chatStatusError } from "./status-errors.ts";

/** What the functions of one provider work with. */
export interface HostFunctionParts {
  readonly http: StreamingHttpService;
  readonly logger: Logger | undefined;
  /** Bytes of log text for each call. */
  readonly logBytes: number;
  /** Kept out of errors that plugins are told; the key is not known here. */
  readonly secrets: readonly string[];
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

const MAX_LOG_CHARS = 8192;
/** Levels by their number, 1 to 5. */
const LEVELS: readonly LogLevel[] = ["error", "warn", "info", "debug", "trace"];

/** The six functions. What they throw stops the plugin's call. */
export function providerFunctions(parts: HostFunctionParts): Readonly<Record<string, HostFunction>> {
  return {
    qmt_http_request: (context: CallContext, address: bigint) => httpRequest(parts, context, address),
    qmt_http_stream_open: (context: CallContext, address: bigint) => streamOpen(parts, context, address),
    qmt_http_stream_next: (context: CallContext, address: bigint) => streamNext(context, address),
    qmt_http_stream_close: (context: CallContext, address: bigint) => {
      callOf(context).drop(readId(context, address));
      return 0n;
    },
    qmt_yield_chunk: (context: CallContext, address: bigint) => yieldChunk(context, address),
    qmt_log: (context: CallContext, address: bigint) => log(parts, context, address),
  };
}

/**
 * A response for whatever happens to a request: 403 for what is not allowed, 499 if nobody wants the answer any more, 500 for
 * failures. But a call whose own time is over ends.
 */
async function httpRequest({ http }: HostFunctionParts, context: CallContext, address: bigint): Promise<bigint> {
  const request = readRequest(context, address);
  if (callOf(context).queue?.cancelled === true) return context.store(responseBox(plainResponse(499, "cancelled")));
  let response: HttpResponse;
  try {
    response = await http.request(request, httpCallOf(context));
  } catch (error) {
    if (!isMortiseError(error) || error.code === "MORTISE_TIMEOUT" || error.code === "MORTISE_ABORTED") throw error;
    response = plainResponse(error.code === "MORTISE_HTTP_DENIED" ? 403 : 500, error.message);
  }
  return context.store(responseBox(response));
}

function plainResponse(status: number, text: string): HttpResponse {
  return { status, headers: { "content-type": "text/plain" }, body: new TextEncoder().encode(text) };
}

/** What is not allowed stops the plugin here. A response without success is an error, since an open stream has no status. */
async function streamOpen({ http, secrets, now }: HostFunctionParts, context: CallContext, address: bigint): Promise<bigint> {
  const call = callOf(context);
  const request = readRequest(context, address);
  if (call.openStreams >= MAX_STREAMS) throw fault(context, `${MAX_STREAMS} streams are open already`);
  if (call.queue?.cancelled === true) return context.store(`{"status":"cancelled"}`);
  const { signal } = context;
  try {
    const stream = await http.open(request, httpCallOf(context));
    if (!isSuccess(stream.status))
      return context.store(openError(chatStatusError(await readAll(stream), { nowMs: now(), hidden: hiddenOf("", secrets) })));
    return context.store(JSON.stringify({ status: "ok", stream_id: call.keep(stream) }));
  } catch (error) {
    if (signal.aborted) return 0n; // nobody is there to read it
    if (isMortiseError(error) && ["MORTISE_HTTP_FAILED", "MORTISE_HTTP_TIMEOUT", "MORTISE_HTTP_IDLE"].includes(error.code))
      return context.store(openError(transportPayload(error)));
    throw error;
  }
}

function openError(payload: ErrorPayload): string {
  return JSON.stringify({ status: "error", plugin_error: JSON.stringify({ payload }), error_code: 1 });
}

async function streamNext(context: CallContext, address: bigint): Promise<bigint> {
  const call = callOf(context);
  const id = readId(context, address);
  // To a plugin that is no longer listened to, a stream has ended.
  if (id === 0 || call.queue?.cancelled === true) return 0n;
  const stream = call.stream(id);
  if (stream === undefined) throw fault(context, `there is no stream ${id}`);
  const { done, value } = await stream.pieces.next();
  return done === true || (call.queue?.cancelled ?? false) ? 0n : context.store(value);
}

function yieldChunk(context: CallContext, address: bigint): bigint | Promise<bigint> {
  const shape = shapeOf(context);
  const chunk = readStreamItem(parseJson(context.readText(address)), shape);
  const wait = callOf(context).queue?.put(chunk);
  return wait === undefined ? 0n : wait.then(() => 0n);
}

function log({ logger, logBytes }: HostFunctionParts, context: CallContext, address: bigint): bigint {
  const shape = shapeOf(context);
  const line = shape.record(parseJson(context.readText(address)), "a line of the log");
  const level = LEVELS[shape.count(line["level"], "level") - 1];
  if (level === undefined) throw shape.fault("level", "a number from 1 to 5");
  const text = shape.text(line["message"], "message");
  const target = shape.text(line["target"], "target");
  if (logger === undefined || LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(context.logLevel)) return 0n;
  const call = callOf(context);
  call.logged += text.length + target.length;
  // What is too much is dropped, as with the plugin's other logs.
  if (call.logged <= logBytes) logger[level](printable(`[extism:${context.plugin}] ${target}: ${text}`, MAX_LOG_CHARS));
  return 0n;
}

function readRequest(context: CallContext, address: bigint): HttpRequest {
  return readRequestBox(context.read(address), shapeOf(context));
}

function readId(context: CallContext, address: bigint): number {
  return shapeOf(context).count(parseJson(context.readText(address)), "the number of a stream");
}

function callOf(context: CallContext): ProviderCall {
  if (context.context instanceof ProviderCall) return context.context;
  throw new TypeError("Providers are called by their host alone");
}

function httpCallOf(context: CallContext): HttpCall {
  const { plugin, function: name, signal } = context;
  const call = callOf(context);
  return { plugin, function: name, timeoutMs: call.timeLeftMs, statedMs: call.statedMs, signal };
}

function shapeOf({ plugin, function: name }: CallContext): ShapeReader {
  return new ShapeReader({ plugin, function: name });
}

function fault({ plugin, function: name }: CallContext, reason: string): MortiseError {
  return new MortiseError("MORTISE_PROVIDER_OUTPUT", { plugin, function: name, reason });
}
