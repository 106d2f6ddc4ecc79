// The errors of guest HTTP. They name origins, never paths or queries: tokens are kept in both.

import { type ErrorDetails, MortiseError, printable } from "../../api/errors.ts";
import type { HttpCall } from "../../api/http.ts";

/** The function that an error is about. */
export type HttpCaller = Pick<HttpCall, "plugin" | "function">;

/** Makes the errors of one call. */
export interface FailureReport {
  /** The permissions do not cover a host. */
  denied(host: string, reason: string): MortiseError;
  /** The request could not be carried out. */
  failed(url: URL, reason: string, cause?: unknown): MortiseError;
  /** Nothing of a body came for too long. */
  idle(url: URL, limit: number): MortiseError;
  /** The guest's request makes no sense. */
  invalid(reason: string): MortiseError;
  /** Something is larger than an option allows. */
  limit(what: string, limit: number, unit: string, option: string): MortiseError;
}

export function failureReport({ plugin, function: name }: HttpCaller): FailureReport {
  const who: ErrorDetails = { plugin, function: name };
  return {
    denied: (host, reason) => new MortiseError("MORTISE_HTTP_DENIED", { ...who, host, reason }),
    failed: (url, reason, cause) => new MortiseError("MORTISE_HTTP_FAILED", { ...who, url: originOf(url), reason }, cause),
    idle: (url, limit) => new MortiseError("MORTISE_HTTP_IDLE", { ...who, url: originOf(url), limit }),
    invalid: (reason) => new MortiseError("MORTISE_HTTP_INVALID", { ...who, reason }),
    limit: (what, limit, unit, option) => new MortiseError("MORTISE_HTTP_LIMIT", { ...who, what, limit, unit, option }),
  };
}

/** Scheme, host and port, which is all that messages say of a URL. */
export function originOf(url: URL): string {
  return `${url.protocol}//${url.host}`;
}

/** What to tell of errors that the network or Node reports. */
const REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: "the name is unknown",
  EAI_AGAIN: "the name server does not answer",
  EBUSY: "too many names wait for a name server",
  ECONNREFUSED: "the connection was refused",
  ECONNRESET: "the connection was closed before the response was complete",
  EPIPE: "the connection was closed while the request was sent",
  ETIMEDOUT: "the connection could not be made in time",
  EHOSTUNREACH: "the host cannot be reached",
  ENETUNREACH: "the network cannot be reached",
  UND_ERR_SOCKET: "the connection was closed before the response was complete",
};

const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS/;

/** Why the network failed, by the error's code: its text may hold what should not be repeated. */
export function networkReason(error: unknown): string {
  const code = codeOf(error) ?? codeOf(causeOf(error)) ?? "";
  const known = Object.hasOwn(REASONS, code) ? REASONS[code] : undefined;
  if (known !== undefined) return known;
  if (code.startsWith("HPE_")) return `the server does not speak HTTP: ${code}`;
  if (error instanceof Error && error.name === "HTTPParserError") return `the server does not speak HTTP: ${parserReason(error.message)}`;
  if (CERTIFICATE.test(code)) return `the server's certificate is not trusted: ${code}`;
  if (code !== "") return printable(code, 60);
  return error instanceof Error ? printable(error.name, 60) : "unknown";
}

/** The words of the parser's own for what is wrong, which quote nothing. */
function parserReason(message: string): string {
  return printable(/\(([^()]*)\)$/.exec(message)?.[1] ?? "it is malformed", 60);
}

/** Code of a network error. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined;
}
