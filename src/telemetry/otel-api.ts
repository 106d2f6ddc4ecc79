// The part of `@opentelemetry/api` that spans are made with, which is loaded if it is there.

/** A context of theirs; only handed on. */
export type OtelContext = { readonly __otelContext?: never } & object;

/** Values of attributes that are used here. */
export type OtelAttributes = Readonly<Record<string, string | number | boolean>>;

/** A span under way. */
export interface OtelSpan {
  setAttributes(attributes: OtelAttributes): unknown;
  addEvent(name: string, attributes?: OtelAttributes): unknown;
  setStatus(status: { readonly code: number; readonly message?: string }): unknown;
  end(endTime?: number): void;
}

/** `@opentelemetry/api` 1, or something that works like it. */
export interface OtelApi {
  readonly context: { active(): OtelContext };
  readonly trace: {
    getTracer(name: string, version?: string): OtelTracer;
    getSpan(context: OtelContext): OtelSpan | undefined;
    setSpan(context: OtelContext, span: OtelSpan): OtelContext;
    setSpanContext(context: OtelContext, spanContext: OtelSpanContext): OtelContext;
  };
}

/** What spans are begun with. */
export interface OtelTracer {
  startSpan(
    name: string,
    options: { readonly kind: number; readonly attributes: OtelAttributes; readonly startTime?: number },
    context: OtelContext,
  ): OtelSpan;
}

/** Which span of which trace. */
export interface OtelSpanContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
  readonly isRemote: boolean;
}

/** Numbers that the specification of the API fixes. */
export const SPAN_KIND = { internal: 0, client: 2 } as const;
export const STATUS_ERROR = 2;

const PACKAGE = "@opentelemetry/api";

/** The API, or undefined if the package is not installed. */
export async function loadOtelApi(): Promise<OtelApi | undefined> {
  try {
    const loaded: unknown = await import(PACKAGE);
    return isApi(loaded) ? loaded : undefined;
  } catch {
    return undefined;
  }
}

function isApi(value: unknown): value is OtelApi {
  return typeof value === "object" && value !== null && "trace" in value && "context" in value;
}

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;

/** What a W3C `traceparent` says; undefined for one that is none. */
export function readTraceparent(text: string): OtelSpanContext | undefined {
  const [, traceId = "", spanId = "", flags = ""] = TRACEPARENT.exec(text) ?? [];
  if (traceId === "" || /^0+$/.test(traceId) || /^0+$/.test(spanId) || text.startsWith("ff")) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
}
