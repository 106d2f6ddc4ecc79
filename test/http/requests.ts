// Requests as guests make them, and what is expected of their errors.

import assert from "node:assert/strict";

import type { HttpCall, HttpRequest, HttpResponse, HttpService } from "../../src/api/http.ts";
import { MortiseError } from "../../src/api/errors.ts";
import { createHttpService } from "../../src/services/http/http-service.ts";
import type { NameLookup } from "../../src/services/http/name-lookup.ts";
import type { HttpOptions } from "../../src/services/http/options.ts";

/** A request, with what a test does not care about filled in. */
export function get(url: string, rest: Partial<HttpRequest> = {}): HttpRequest {
  return { url, method: "GET", headers: {}, body: undefined, ...rest };
}

/** The call of a guest's function. */
export function callOf(rest: Partial<HttpCall> = {}): HttpCall {
  return { plugin: "guest", function: "f", timeoutMs: 20_000, signal: new AbortController().signal, ...rest };
}

/** Runs work with a service that is closed after it. */
export async function withService<Result>(options: HttpOptions, work: (service: HttpService) => Promise<Result>): Promise<Result> {
  const service = createHttpService(options);
  try {
    return await work(service);
  } finally {
    service.close();
  }
}

/** One request through a service of its own. */
export function fetchOnce(options: HttpOptions, request: HttpRequest, call: HttpCall = callOf()): Promise<HttpResponse> {
  return withService(options, (service) => service.request(request, call));
}

/** The text of a body. */
export function textOf({ body }: HttpResponse): string {
  return new TextDecoder().decode(body);
}

/** Waits until a condition holds that something else brings about. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

/** The error of a promise, which must fail with a code. */
export async function failure(promise: Promise<unknown>, code: string): Promise<MortiseError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof MortiseError, `not coded: ${String(error)}`);
    assert.equal(error.code, code, error.message);
    return error;
  }
  assert.fail(`expected ${code}, but it succeeded`);
}

/** A lookup that knows names by a table, and counts. */
export function names(table: Readonly<Record<string, string | readonly string[]>>): NameLookup & { readonly asked: string[] } {
  const asked: string[] = [];
  const lookup: NameLookup = async (hostname) => {
    asked.push(hostname);
    const found = table[hostname];
    if (found === undefined) throw Object.assign(new Error(`unknown name ${hostname}`), { code: "ENOTFOUND" });
    return [found].flat().map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
  };
  return Object.assign(lookup, { asked });
}
