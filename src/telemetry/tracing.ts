// Spans of OpenTelemetry for runs of hooks, calls of plugins and their HTTP requests.

import { AsyncLocalStorage } from "node:async_hooks";
import { type Channel, channel } from "node:diagnostics_channel";

import { type BeginEvent, CHANNELS, type CallEvent, type HttpEvent, type RunEvent } from "../api/channels.ts";
import {
  type OtelApi,
  type OtelAttributes,
  type OtelContext,
  type OtelSpan,
  SPAN_KIND,
  STATUS_ERROR,
  loadOtelApi,
  readTraceparent,
} from "./otel-api.ts";
import { subscribeAll } from "./subscriptions.ts";

/** Options of {@link startTracing}. */
export interface TracingOptions {
  /** The API, for those who have it at hand. @default the package `@opentelemetry/api`, if it is installed */
  readonly api?: OtelApi;
}

/** Spans that are made from now on. */
export interface Tracing {
  /** Makes no more spans; those under way are ended by nobody. */
  close(): void;
  [Symbol.dispose](): void;
}

/** A run or call that is under way. */
interface Open {
  readonly kind: BeginEvent["kind"];
  readonly span: OtelSpan;
  /** With the span in it, for those within. */
  readonly context: OtelContext;
  ended: boolean;
}

/**
 * Begins to make spans, for all hosts of this process. A span's parent is the call or run that it belongs to, else the span
 * that is active where the hook or plugin is called, else the one that the request's `traceparent` names. Spans hold names,
 * numbers and codes, never inputs or outputs.
 *
 * @returns undefined if the API is not installed
 */
export async function startTracing({ api }: TracingOptions = {}): Promise<Tracing | undefined> {
  const otel = api ?? (await loadOtelApi());
  return otel && trace(otel);
}

function trace(api: OtelApi): Tracing {
  const tracer = api.trace.getTracer("mortise");
  const current = new AsyncLocalStorage<Open | undefined>();
  const parentOf = ({ traceparent }: Pick<BeginEvent, "traceparent">): OtelContext => {
    const outer = current.getStore();
    if (outer !== undefined && !outer.ended) return outer.context;
    const active = api.context.active();
    const remote = traceparent === undefined || api.trace.getSpan(active) !== undefined ? undefined : readTraceparent(traceparent);
    return remote === undefined ? active : api.trace.setSpanContext(active, remote);
  };
  const begin = (event: BeginEvent): Open | undefined => {
    try {
      const parent = parentOf(event);
      const span = tracer.startSpan(nameOf(event), { kind: SPAN_KIND.internal, attributes: attributesOf(event) }, parent);
      return { kind: event.kind, span, context: api.trace.setSpan(parent, span), ended: false };
    } catch {
      return undefined;
    }
  };
  const end = (kind: BeginEvent["kind"], error: string | undefined, attributes: OtelAttributes): void => {
    const open = current.getStore();
    // What began before spans were made has none.
    if (open === undefined || open.kind !== kind || open.ended) return;
    open.ended = true;
    open.span.setAttributes(attributes);
    finish(open.span, error);
  };
  const within = (name: string, attributes: OtelAttributes): void => {
    const open = current.getStore();
    if (open !== undefined && !open.ended) open.span.addEvent(name, attributes);
  };
  const begins = channel(CHANNELS.begin) as Channel<Open | undefined, BeginEvent>;
  begins.bindStore(current, begin);
  const unsubscribe = subscribeAll({
    [CHANNELS.call]: (event) => end("call", event.error, usedBy(event)),
    [CHANNELS.run]: ({ error }: RunEvent) => end("run", error, {}),
    [CHANNELS.http]: (event) => {
      const { host, method, durationMs, error } = event;
      const startTime = performance.timeOrigin + performance.now() - durationMs;
      const span = tracer.startSpan(
        method === "" ? "HTTP" : method,
        { kind: SPAN_KIND.client, attributes: exchanged(event), startTime },
        parentOf({}),
      );
      finish(span, error ?? (host === "" ? "MORTISE_HTTP_INVALID" : undefined));
    },
    [CHANNELS.service]: ({ service, durationMs, error }) =>
      within(service, { "mortise.duration_ms": durationMs, ...(error !== undefined && { "error.type": error }) }),
    [CHANNELS.decision]: ({ plugin, action, reason }) =>
      within("decision", { "mortise.plugin": plugin, "mortise.action": action, ...(reason !== undefined && { "mortise.reason": reason }) }),
  });
  const close = (): void => {
    begins.unbindStore(current);
    unsubscribe();
  };
  return { close, [Symbol.dispose]: close };
}

function finish(span: OtelSpan, error: string | undefined): void {
  if (error !== undefined) {
    span.setAttributes({ "error.type": error });
    span.setStatus({ code: STATUS_ERROR, message: error });
  }
  span.end();
}

function nameOf({ kind, hook = "", plugin = "", function: fn = "" }: BeginEvent): string {
  return kind === "run" ? `hook ${hook}` : `${plugin} ${fn}`;
}

function attributesOf({ plugin, version, function: fn, hook, request }: BeginEvent): OtelAttributes {
  return {
    ...(plugin !== undefined && { "mortise.plugin": plugin }),
    ...(version !== undefined && { "mortise.version": version }),
    ...(fn !== undefined && { "mortise.function": fn }),
    ...(hook !== undefined && { "mortise.hook": hook }),
    ...(request !== undefined && { "mortise.request": request }),
  };
}

function usedBy({ queueMs, fuel, memoryBytes, inputBytes, outputBytes }: CallEvent): OtelAttributes {
  return {
    "mortise.queue_ms": queueMs,
    "mortise.fuel": fuel,
    "mortise.memory_bytes": memoryBytes,
    "mortise.input_bytes": inputBytes,
    "mortise.output_bytes": outputBytes,
  };
}

function exchanged({ plugin, host, method, status, requestBytes, responseBytes }: HttpEvent): OtelAttributes {
  return {
    "mortise.plugin": plugin,
    "server.address": host,
    "http.request.method": method,
    "http.request.body.size": requestBytes,
    "http.response.body.size": responseBytes,
    ...(status !== undefined && { "http.response.status_code": status }),
  };
}
