// A tracer provider that keeps what it is told, behind the interface of `@opentelemetry/api`.

import { AsyncLocalStorage } from "node:async_hooks";

import type { OtelApi, OtelAttributes, OtelContext, OtelSpan, OtelSpanContext } from "../../src/telemetry/otel-api.ts";

/** A span as it ended. */
export interface RecordedSpan {
  readonly name: string;
  readonly kind: number;
  /** Name of the parent, or the span id of one that is elsewhere; undefined for a root. */
  readonly parent: string | undefined;
  readonly attributes: Record<string, unknown>;
  readonly events: (readonly [name: string, attributes: OtelAttributes])[];
  readonly startTime: number | undefined;
  status: { readonly code: number; readonly message?: string } | undefined;
  ended: number;
}

type Held = { readonly span?: OtelSpan; readonly remote?: OtelSpanContext };

/** What the API's interface says, without the package; `spans` has every span that was begun. */
export function recordingApi(): { readonly api: OtelApi; readonly spans: RecordedSpan[]; readonly active: <R>(span: OtelSpan, work: () => R) => R } {
  const spans: RecordedSpan[] = [];
  const names = new Map<OtelSpan, string>();
  const current = new AsyncLocalStorage<Held>();
  const root: Held = {};
  const api: OtelApi = {
    context: { active: () => current.getStore() ?? root },
    trace: {
      getTracer: () => ({
        startSpan(name, { kind, attributes, startTime }, context) {
          const held = context as Held;
          const parent = held.span === undefined ? held.remote?.spanId : names.get(held.span);
          const recorded: RecordedSpan = { name, kind, parent, attributes: { ...attributes }, events: [], startTime, status: undefined, ended: 0 };
          spans.push(recorded);
          const span: OtelSpan = {
            setAttributes: (more) => Object.assign(recorded.attributes, more),
            addEvent: (event, more = {}) => recorded.events.push([event, more]),
            setStatus: (status) => (recorded.status = status),
            end: () => void recorded.ended++,
          };
          names.set(span, name);
          return span;
        },
      }),
      getSpan: (context) => (context as Held).span,
      setSpan: (_context, span) => ({ span }) as OtelContext,
      setSpanContext: (_context, remote) => ({ remote }) as OtelContext,
    },
  };
  return { api, spans, active: (span, work) => current.run({ span }, work) };
}
