// Failures in the words of the two vendors.

const OPENAI: Readonly<Record<number, readonly [type: string, code: string | null]>> = {
  400: ["invalid_request_error", null],
  401: ["invalid_request_error", "invalid_api_key"],
  403: ["permission_error", null],
  404: ["invalid_request_error", "model_not_found"],
  429: ["rate_limit_error", "rate_limit_exceeded"],
};

const ANTHROPIC: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  529: "overloaded_error",
};

/** The body of a failure. */
export function errorBody(vendor: "openai" | "anthropic", status: number, message: string = `stand-in fault ${status}`): object {
  if (vendor === "anthropic") return { type: "error", error: { type: ANTHROPIC[status] ?? "api_error", message }, request_id: "req_stand_in" };
  const [type, code] = OPENAI[status] ?? ["server_error", null];
  return { error: { message, type, param: null, code } };
}
