// A plugin for an LLM gateway: answers a request that was answered before, word for word the same, from the host's cache.
import { begin, is, isNull, keep, member, Members, NONE, part, Part, put, putHex, putNumber, putPart, requestFields, requestType, restOf, size, start, textOf, valueEnd, whole, written } from "./gateway";
import { cacheGet, cacheSet, digest, getAttribute, setAttribute } from "./services";

export { malloc, plugin_reset } from "./gateway";

const KEY = "cache.key";
/** Bytes that the host hashes at once: longer requests are not kept. */
const MAX_HASHED: usize = 1 << 20;
/** Parameters that are sorted; a request with more is not kept. */
const MAX_PARAMS = 64;

let ttlMs: i64 = 3600 * 1000;
let maxBytes: i64 = 262144;
let always = false;
let shared = false;
let toolCalls = false;

/** Says that requests and answers are read in the flat spelling: others need not be sent. */
export function reads_flat(_at: usize, _length: i32): u64 {
  return 0;
}

export function get_name(): u64 {
  begin(16);
  put("gateway-cache");
  return written();
}

function isFlag(value: Part): bool {
  return is(value, "true") || is(value, "false");
}

export function init(at: usize, length: i32): i32 {
  const members = new Members(keep(part(at, length)));
  while (members.next()) {
    const name = members.name;
    const value = members.whole();
    if (is(name, "ttl_s")) {
      ttlMs = whole(value) * 1000;
      if (ttlMs <= 0) return 1;
    } else if (is(name, "max_kb")) {
      maxBytes = whole(value) * 1024;
      if (maxBytes <= 0) return 1;
    } else if (is(name, "always") && isFlag(value)) always = is(value, "true");
    else if (is(name, "shared") && isFlag(value)) shared = is(value, "true");
    else if (is(name, "tool_calls") && isFlag(value)) toolCalls = is(value, "true");
    else return 1;
  }
  return 0;
}

// ---- what is the same request

/** Parameters that do not change what a model answers. */
function isLeftOut(name: Part): bool {
  return (
    is(name, "stream") || is(name, "stream_options") || is(name, "user") || is(name, "metadata") || is(name, "store") ||
    is(name, "safety_identifier") || is(name, "prompt_cache_key") || is(name, "service_tier")
  );
}

function isBefore(a: Part, b: Part): bool {
  const shorter = min(size(a), size(b));
  const order = memory.compare(start(a), start(b), shorter);
  return order < 0 || (order == 0 && size(a) < size(b));
}

/** Appends the parameters by the order of their names; false if there are too many. */
function putParams(params: Part): bool {
  const names = new StaticArray<Part>(MAX_PARAMS);
  const values = new StaticArray<Part>(MAX_PARAMS);
  let count = 0;
  const members = new Members(params);
  while (members.next()) {
    if (isLeftOut(members.name)) continue;
    if (count == MAX_PARAMS) return false;
    let at = count++;
    for (; at > 0 && isBefore(members.name, names[at - 1]); at--) {
      names[at] = names[at - 1];
      values[at] = values[at - 1];
    }
    names[at] = members.name;
    values[at] = members.whole();
  }
  for (let i = 0; i < count; i++) {
    put(',"');
    putPart(names[i]);
    put('":');
    putPart(values[i]);
  }
  return true;
}

function isZero(number: Part): bool {
  for (let i: usize = 0; i < size(number); i++) {
    const byte = load<u8>(start(number) + i);
    if (byte != 0x30 && byte != 0x2e) return false;
  }
  return size(number) > 0;
}

/** The digest of everything that an answer depends on; NONE if the request is not to be kept. */
function keyOf(message: Part): Part {
  const fields = requestFields(message);
  if (fields == NONE) return NONE;
  const type = textOf(requestType(message));
  const isEmbedding = is(type, "embedding");
  const params = member(fields, "params");
  if (!isEmbedding && !always && !isZero(member(params, "temperature"))) return NONE;
  const input = member(fields, "input");
  if (input == NONE || size(input) + size(params) > MAX_HASHED - 4096) return NONE;
  const client = shared ? NONE : getAttribute("client");
  // Headers that ask for more than the interface has.
  const beta = getAttribute("beta");
  const provider = member(fields, "provider");
  const model = member(fields, "model");
  begin(size(input) + size(params) + size(client) + size(beta) + size(provider) + size(model) + 1024);
  put(isEmbedding ? "embedding " : "chat ");
  put(shared ? "shared" : "own");
  putNumber(<i64>size(client));
  putPart(client);
  put("beta");
  putNumber(<i64>size(beta));
  putPart(beta);
  put(',"provider":');
  putPart(provider);
  put(',"model":');
  putPart(model);
  put(',"input":');
  putPart(input);
  if (!putParams(params)) return NONE;
  const text = written();
  if (size(text) > MAX_HASHED) return NONE;
  const hash = digest(text, NONE);
  begin(64);
  putHex(hash);
  return written();
}

/** Whether a client said something of caching, which the gateway passes on in small letters. */
function says(control: Part, directive: string): bool {
  const length = <usize>directive.length;
  for (let at: usize = 0; at + length <= size(control); at++) if (is(part(start(control) + at, length), directive)) return true;
  return false;
}

// ---- the hooks

export function pre_hook(at: usize, length: i32): u64 {
  const key = keyOf(part(at, length));
  const control = key == NONE ? NONE : getAttribute("cache-control");
  // What an earlier attempt left would name another request.
  if (key == NONE || says(control, "no-store")) {
    if (getAttribute(KEY) != NONE) setAttribute(KEY, NONE);
    return 0;
  }
  const found = says(control, "no-cache") ? NONE : cacheGet(key);
  if (found == NONE) {
    setAttribute(KEY, key);
    return 0;
  }
  // What came from the cache does not go there again, so that its time is not prolonged.
  if (getAttribute(KEY) != NONE) setAttribute(KEY, NONE);
  begin(size(found) + 64);
  put('{"short_circuit":{"response":');
  putPart(found);
  put("}}");
  return written();
}

/** True for an answer that is whole: all choices came to their end, or called tools, if such answers are kept. */
function isKept(response: Part): bool {
  const choices = member(response, "choices");
  if (choices == NONE) return member(response, "data") != NONE;
  const all = start(choices) + size(choices);
  let at = start(choices) + 1;
  let count = 0;
  while (at < all && load<u8>(at) == 0x7b) {
    const choice = part(at, all - at);
    const reason = textOf(member(choice, "finish_reason"));
    if (!is(reason, "stop") && !(toolCalls && is(reason, "tool_calls"))) return false;
    const calls = member(member(choice, "message"), "tool_calls");
    if (!toolCalls && !isNull(calls) && !is(calls, "[]")) return false;
    count++;
    at = valueEnd(at, all) + 1;
  }
  return count > 0;
}

export function on_completion(at: usize, length: i32): u64 {
  const key = getAttribute(KEY);
  if (key == NONE) return 0;
  setAttribute(KEY, NONE);
  const input = restOf(part(at, length), "input");
  const response = member(input, "response");
  if (!isNull(member(input, "error")) || isNull(response) || <i64>size(response) > maxBytes || !isKept(response)) return 0;
  cacheSet(key, response, ttlMs);
  return 0;
}
