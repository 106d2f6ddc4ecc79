// A Bifrost plugin of the second generation, with the runtime that never frees: `free` does nothing, so that its memory
// grows with every call until the host replaces it. Requests in the flat spelling. It tags what it sees.
import { jsonGet, jsonText, packed, quoted, textAt } from "./linear";

export function malloc(size: i32): usize {
  return size == 0 ? 0 : heap.alloc(size);
}

export function free(_block: usize): void {}

let label = "tag";

export function get_name(): u64 {
  return packed("bifrost-tag");
}

export function init(at: usize, length: i32): i32 {
  const given = jsonText(jsonGet(textAt(at, length), "label"));
  if (given != "") label = given;
  return 0;
}

export function cleanup(): i32 {
  return 0;
}

/** Adds its label to the context, which is an object. */
function tagged(context: string): string {
  const rest = context.length > 2 ? "," + context.substring(1) : "}";
  return '{"tag":' + quoted(label) + rest;
}

export function http_intercept(at: usize, length: i32): u64 {
  const input = textAt(at, length);
  const request = jsonGet(input, "request");
  const method = jsonText(jsonGet(request, "method"));
  if (method == "TRACE") {
    const response = '{"status_code":405,"headers":{"allow":"GET, POST"},"body":null}';
    return packed('{"context":' + tagged(jsonGet(input, "context")) + ',"response":' + response + ',"has_response":true,"error":""}');
  }
  // An empty object leaves the request as it is.
  return packed('{"context":' + tagged(jsonGet(input, "context")) + ',"request":{},"has_response":false,"error":""}');
}

export function pre_hook(at: usize, length: i32): u64 {
  const input = textAt(at, length);
  const request = jsonGet(input, "request");
  const model = jsonText(jsonGet(request, "model"));
  const context = tagged(jsonGet(input, "context"));
  if (model == "crash") unreachable();
  if (model == "cheap") {
    const changed = '{"provider":"local","model":"small","input":' + jsonGet(request, "input") + "}";
    return packed('{"context":' + context + ',"request":' + changed + ',"has_short_circuit":false,"error":""}');
  }
  return packed('{"context":' + context + ',"request":null,"short_circuit":null,"has_short_circuit":false,"error":""}');
}

export function post_hook(at: usize, length: i32): u64 {
  const input = textAt(at, length);
  const response = jsonGet(input, "response");
  const kept = response == "" ? "null" : response;
  return packed('{"context":' + tagged(jsonGet(input, "context")) + ',"response":' + kept + ',"error":{},"has_error":false,"hook_error":""}');
}
