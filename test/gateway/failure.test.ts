// Failures: what each error means for a client, and for whoever decides whether to ask again.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { ERRORS, type ErrorCode, type ErrorPayload, MortiseError } from "mortise";

import { failureOf, isOfProvider } from "../../src/gateway/failure.ts";
import type { Failure } from "../../src/gateway/types.ts";

function provider(payload: ErrorPayload, details: Readonly<Record<string, unknown>> = {}): MortiseError {
  return new MortiseError("MORTISE_PROVIDER_ERROR", { plugin: "openai", function: "chat", reason: "it failed", payload, ...details });
}

const brief = ({ kind, status }: Failure): string => `${kind} ${status}`;

describe("failureOf a provider's error", () => {
  const message = "no";
  for (const [payload, wanted] of [
    [{ type: "http_status", status_code: 429, message, retry_after_secs: null }, "rate_limited 429"],
    [{ type: "http_status", status_code: 500, message, retry_after_secs: null }, "upstream 500"],
    [{ type: "http_status", status_code: 529, message, retry_after_secs: null }, "overloaded 529"],
    [{ type: "http_status", status_code: 302, message, retry_after_secs: null }, "upstream 502"],
    [{ type: "provider_error", message, kind: "unknown_permanent", code: "404" }, "not_found 404"],
    [{ type: "provider_error", message, kind: "unknown_permanent", code: "413" }, "too_large 413"],
    [{ type: "provider_error", message, kind: "unknown_permanent", code: "418" }, "invalid_request 418"],
    [{ type: "provider_error", message, kind: "unknown_transient", code: "503" }, "overloaded 503"],
    [{ type: "provider_error", message, kind: "server_overloaded" }, "overloaded 503"],
    [{ type: "provider_error", message, kind: "quota_exceeded", code: "429" }, "quota 429"],
    [{ type: "provider_error", message, kind: "authentication", code: "403" }, "permission 403"],
    [{ type: "provider_error", message, kind: "authentication", code: "401" }, "authentication 401"],
    [{ type: "provider_error", message, kind: "context_window_exceeded" }, "invalid_request 400"],
    [{ type: "provider_error", message, kind: "invalid_request", code: "422" }, "invalid_request 422"],
    [{ type: "provider_error", message }, "upstream 502"],
    [{ type: "rate_limited", message, retry_after_secs: 1 }, "rate_limited 429"],
    [{ type: "transport", kind: "timeout", message }, "timeout 504"],
    [{ type: "transport", kind: "connection_refused", message }, "upstream 502"],
    [{ type: "not_implemented", message }, "invalid_request 400"],
    [{ type: "auth_error", message }, "authentication 401"],
    [{ type: "response_format_error", message, raw_response: "<html>" }, "upstream 502"],
    [{ type: "cancelled" }, "cancelled 499"],
  ] as const satisfies readonly (readonly [ErrorPayload, string])[])
    test(`${JSON.stringify(payload)} is ${wanted}`, () => assert.equal(brief(failureOf(provider(payload))), wanted));

  test("says what the provider says, whether to try again, and when", () => {
    const error = provider(
      { type: "provider_error", message: "slow\u{1b}[2J down", kind: "rate_limited", code: "tpm" },
      { retryable: true, retryAfterSecs: 2 },
    );
    assert.deepEqual(failureOf(error, { provider: "openai" }), {
      kind: "rate_limited",
      status: 429,
      message: "slow\\u001b[2J down",
      code: "tpm",
      retryAfterMs: 2000,
      retryable: true,
      allowFallbacks: true,
      provider: "openai",
    });
  });

  test("does not quote the key that a server refuses", () => {
    const refused = failureOf(provider({ type: "auth_error", message: "Incorrect API key provided: sk-abc" }));
    assert.equal(refused.message, "The model's server refused the key of the gateway");
  });

  test("has the server's answer, if it is known in which interface", () => {
    const response = { status: 400, headers: {}, body: Buffer.from("{}") };
    const error = provider({ type: "invalid_request", message: "no" }, { response });
    assert.equal(failureOf(error).upstream, undefined);
    assert.deepEqual(failureOf(error, { api: "chat" }).upstream, { api: "chat", status: 400, body: response.body });
    const named = provider({ type: "invalid_request", message: "no" }, { response: { ...response, api: "anthropic.messages" } });
    assert.equal(failureOf(named).upstream?.api, "messages");
  });
});

describe("failureOf", () => {
  for (const [code, details, wanted] of [
    ["MORTISE_GATEWAY_REQUEST", {}, "invalid_request 400"],
    ["MORTISE_GATEWAY_NO_MODEL", {}, "not_found 404"],
    ["MORTISE_GATEWAY_RATE_LIMIT", {}, "rate_limited 429"],
    ["MORTISE_GATEWAY_NO_KEY", { kind: "authentication" }, "upstream 503"],
    ["MORTISE_GATEWAY_NO_KEY", { kind: "rate_limited" }, "rate_limited 429"],
    ["MORTISE_GATEWAY_UPSTREAM", {}, "upstream 502"],
    ["MORTISE_GATEWAY_UPSTREAM", { error: { type: "overloaded_error" } }, "overloaded 529"],
    ["MORTISE_GATEWAY_UPSTREAM", { error: { type: "server_error", code: "rate_limit_exceeded" } }, "rate_limited 429"],
    ["MORTISE_GATEWAY_UPSTREAM", { error: null }, "upstream 502"],
    ["MORTISE_HOOK_REJECTED", { reason: "a secret word" }, "blocked 403"],
    ["MORTISE_HOOK_FAILED", {}, "internal 500"],
    ["MORTISE_TRAP", {}, "internal 500"],
    ["MORTISE_CLOSED", {}, "internal 500"],
    ["MORTISE_UNKNOWN_FUNCTION", {}, "internal 500"],
    ["MORTISE_TIMEOUT", {}, "timeout 504"],
    ["MORTISE_STORE_UNAVAILABLE", {}, "internal 503"],
    ["MORTISE_PLUGIN_SUSPENDED", {}, "overloaded 503"],
  ] as const)
    test(`takes ${code} ${JSON.stringify(details)} for ${wanted}`, () => assert.equal(brief(failureOf(new MortiseError(code, details))), wanted));

  test("gives every code a status of an error, and never throws", () => {
    for (const code of Object.keys(ERRORS) as ErrorCode[]) {
      const { status, message } = failureOf(
        new MortiseError(code, { reason: "no", failure: 1, payload: 1, response: 1, retryAfterMs: "x", param: {} }),
      );
      assert.ok(status >= 400 && status <= 599, code);
      assert.notEqual(message, "", code);
    }
    for (const value of [undefined, null, 3, "x", {}, Object.create(null), new Error("/etc/secret")]) assert.equal(failureOf(value).kind, "internal");
  });

  test("keeps back what does not concern a client", () => {
    assert.doesNotMatch(failureOf(new Error("/etc/secret")).message, /secret/);
    assert.doesNotMatch(failureOf(new MortiseError("MORTISE_STORE_UNAVAILABLE", { store: "sqlite", reason: "/etc/secret" })).message, /secret/);
    assert.equal(
      failureOf(new MortiseError("MORTISE_HOOK_REJECTED", { hook: "llm", plugin: "guard", reason: "no such talk" })).message,
      "no such talk",
    );
  });

  test("gives the failure that an error brings along", () => {
    const failure: Failure = { kind: "blocked", status: 451, message: "no", retryable: false, allowFallbacks: false };
    assert.equal(failureOf(new MortiseError("MORTISE_GATEWAY_ANSWERED", { reason: "no", failure })), failure);
  });

  test("understands signals", () => {
    assert.equal(brief(failureOf(AbortSignal.abort().reason)), "cancelled 499");
    assert.equal(brief(failureOf(new DOMException("late", "TimeoutError"))), "timeout 504");
  });

  test("forbids everything else once the whole request is late", () => {
    const late = failureOf(new MortiseError("MORTISE_GATEWAY_DEADLINE", { whole: true }));
    assert.deepEqual([late.retryable, late.allowFallbacks], [false, false]);
    const attempt = failureOf(new MortiseError("MORTISE_GATEWAY_DEADLINE", { whole: false }));
    assert.deepEqual([attempt.retryable, attempt.allowFallbacks], [true, true]);
  });
});

describe("isOfProvider", () => {
  for (const [code, wanted] of [
    ["MORTISE_PROVIDER_ERROR", true],
    ["MORTISE_TRAP", true],
    ["MORTISE_HTTP_FAILED", true],
    ["MORTISE_GATEWAY_UPSTREAM", true],
    ["MORTISE_GATEWAY_DEADLINE", true],
    ["MORTISE_GATEWAY_ANSWERED", false],
    ["MORTISE_HOOK_FAILED", false],
    ["MORTISE_STORE_UNAVAILABLE", false],
    ["MORTISE_ABORTED", false],
    ["MORTISE_INTERNAL", false],
  ] as const)
    test(`is ${wanted} for ${code}`, () => assert.equal(isOfProvider(new MortiseError(code)), wanted));
});
