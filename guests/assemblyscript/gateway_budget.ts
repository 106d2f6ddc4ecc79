// A plugin for an LLM gateway: tokens that a client may use up in a minute, an hour, a day or a month. Before a request, an
// estimate is reserved; when it is over, what it really took takes the estimate's place.
import { begin, end, is, keep, member, Members, NONE, part, Part, put, putNumber, putPart, requestFields, requestType, size, start, textOf, whole, written } from "./gateway";
import { attributeIn, kvAdd, kvDelete, kvGet, kvReplace, now, setAttribute } from "./services";

export { malloc, plugin_reset } from "./gateway";

const SECOND: i64 = 1000;
const DAY: i64 = 86400 * SECOND;
/** Longest names of a client and of a model, in bytes. */
const MAX_NAME: usize = 200;
/** Counts stay for so long after their window, for requests that began in it. */
const GRACE: i64 = 600 * SECOND;
/** Bytes that are about one token. */
const BYTES_A_TOKEN: usize = 4;
const RESERVED = "budget.reserved";

let tokens: i64 = 0;
/** Milliseconds; 0 is a month. */
let window: i64 = -1;
let windowName: Part = NONE;
let byModel = false;
/** Models of a client that have a budget each; all further ones have one together, since clients make up names. */
let models: i64 = 32;
let reserve: i64 = 1024;

/** Says that requests and answers are read in the flat spelling: others need not be sent. */
export function reads_flat(_at: usize, _length: i32): u64 {
  return 0;
}

export function get_name(): u64 {
  begin(16);
  put("gateway-budget");
  return written();
}

export function init(at: usize, length: i32): i32 {
  const members = new Members(keep(part(at, length)));
  while (members.next()) {
    const value = members.whole();
    if (is(members.name, "tokens")) tokens = whole(value);
    else if (is(members.name, "window")) {
      windowName = textOf(value);
      window = windowOf(windowName);
    } else if (is(members.name, "by_model")) {
      if (!is(value, "true") && !is(value, "false")) return 1;
      byModel = is(value, "true");
    } else if (is(members.name, "models")) {
      models = whole(value);
      if (models < 1 || models > 1000) return 1;
    } else if (is(members.name, "reserve")) {
      reserve = whole(value);
      if (reserve < 0) return 1;
    } else return 1;
  }
  return tokens > 0 && window >= 0 ? 0 : 1;
}

function windowOf(name: Part): i64 {
  if (is(name, "minute")) return 60 * SECOND;
  if (is(name, "hour")) return 3600 * SECOND;
  if (is(name, "day")) return DAY;
  return is(name, "month") ? 0 : -1;
}

// ---- windows, in UTC

/** Days from 1970 to the first of a month, which is counted from the year 0 (proleptic Gregorian calendar). */
function firstDay(month: i64): i64 {
  // Years that begin in March end with the leap day.
  const shifted = month - 2;
  const year = shifted / 12;
  const dayOfYear = (153 * (shifted % 12) + 2) / 5;
  return year * 365 + year / 4 - year / 100 + year / 400 + dayOfYear - 719468;
}

function monthOf(ms: i64): i64 {
  const days = ms / DAY;
  // Close from below: no month has more than 31 days.
  let month: i64 = 1970 * 12 + days / 31;
  while (firstDay(month + 1) <= days) month++;
  return month;
}

function windowNumber(ms: i64): i64 {
  return window == 0 ? monthOf(ms) : ms / window;
}

function windowEnd(number: i64): i64 {
  return window == 0 ? firstDay(number + 1) * DAY : (number + 1) * window;
}

// ---- before a request

/** `used:1234:3:ann:`, with the model behind it if each has its own budget. */
function keyOf(number: i64, client: Part, model: Part): Part {
  begin(64 + 2 * MAX_NAME);
  put("used:");
  putNumber(number);
  put(":");
  putNumber(<i64>size(client));
  put(":");
  putPart(client);
  put(":");
  putPart(model);
  return written();
}

/** `models:1234:3:ann:` for a key: how many keys its client has in its window. */
function countOf(key: Part): Part {
  const used = 5;
  begin(size(key) + 8);
  put("models:");
  putPart(part(start(key) + used, modelIn(key) - start(key) - used));
  return written();
}

/** Where the model begins in a key. */
function modelIn(key: Part): usize {
  const lengthAt = colonIn(start(key) + 5, end(key)) + 1;
  const clientAt = colonIn(lengthAt, end(key)) + 1;
  const length = clientAt > lengthAt ? whole(part(lengthAt, clientAt - 1 - lengthAt)) : 0;
  return min(clientAt + <usize>max<i64>(length, 0) + 1, end(key));
}

function colonIn(at: usize, limit: usize): usize {
  while (at < limit && load<u8>(at) != 0x3a) at++;
  return at;
}

/** The key under which a model is counted, which is made if there is room for it: its own, or that of all further ones. */
function roomFor(key: Part, number: i64, client: Part, ttlMs: i64): Part {
  if (kvGet(key) != NONE) return key;
  begin(8);
  put("0");
  const nothing = written();
  // Only one of those who come at once makes it.
  if (!kvReplace(key, NONE, nothing, ttlMs) || kvAdd(countOf(key), 1, ttlMs) <= models) return key;
  takeAway(key);
  return keyOf(number, client, NONE);
}

function takeAway(key: Part): void {
  kvDelete(key);
  kvAdd(countOf(key), -1, GRACE);
}

/** Tokens that a request may take: what it says, and what it lets the model say. */
function estimate(message: Part, fields: Part): i64 {
  const input = member(fields, "input");
  const said = <i64>(size(input) / BYTES_A_TOKEN);
  if (is(textOf(requestType(message)), "embedding")) return min(said, tokens);
  const params = member(fields, "params");
  let most = whole(member(params, "max_completion_tokens"));
  if (most < 0) most = whole(member(params, "max_tokens"));
  return min(said + (most < 0 ? reserve : most), tokens);
}

function fail(reason: string): u64 {
  begin(256);
  put('{"error":"');
  put(reason);
  put('"}');
  return written();
}

function refuse(leftMs: i64): u64 {
  const seconds = (leftMs + SECOND - 1) / SECOND;
  begin(1024);
  put('{"short_circuit":{"error":{"status_code":429,"allow_fallbacks":false,"type":"budget_exceeded","error":{"message":"The token budget of this ');
  putPart(windowName);
  put(" is used up; the next one begins in ");
  putNumber(seconds);
  put(seconds == 1 ? " second" : " seconds");
  put('","type":"budget_exceeded","code":"budget_exceeded"},"extra_fields":{"retry_after_ms":');
  putNumber(leftMs);
  put("}}}}");
  return written();
}

export function pre_hook(at: usize, length: i32): u64 {
  const message = part(at, length);
  const fields = requestFields(message);
  if (fields == NONE) return fail("the request is not one that can be looked at");
  const context = member(message, "context");
  const client = attributeIn(context, "client");
  const model = byModel ? textOf(member(fields, "model")) : NONE;
  if (size(client) > MAX_NAME || size(model) > MAX_NAME) return fail("the name of the client or of the model is too long");
  const ms = now();
  const number = windowNumber(ms);
  let key = keyOf(number, client, model);
  // The gateway says which attempt this is: nothing was reserved for the first one.
  const before = is(textOf(member(context, "attempt")), "1") ? NONE : attributeIn(context, RESERVED);
  // A further attempt goes on with what was reserved for the first one, unless that counts elsewhere.
  if (before != NONE) {
    if (sameKey(before, key)) return 0;
    settle(before, 0);
  }
  const ends = windowEnd(number);
  const wanted = estimate(message, fields);
  if (byModel) key = roomFor(key, number, client, ends - ms + GRACE);
  const sum = kvAdd(key, wanted, ends - ms + GRACE);
  if (sum - wanted >= tokens) {
    kvAdd(key, -wanted, GRACE);
    if (before != NONE) setAttribute(RESERVED, NONE);
    return refuse(ends - ms);
  }
  begin(size(key) + 32);
  putNumber(wanted);
  put(" ");
  putPart(key);
  setAttribute(RESERVED, written());
  return 0;
}

// ---- when a request is over

/** Where the number ends in front of the key. */
function spaceIn(reserved: Part): usize {
  let at = start(reserved);
  while (at < start(reserved) + size(reserved) && load<u8>(at) != 0x20) at++;
  return at;
}

function keyIn(reserved: Part): Part {
  const space = spaceIn(reserved);
  return part(space + 1, start(reserved) + size(reserved) - space - 1);
}

function sameKey(reserved: Part, key: Part): bool {
  const known = keyIn(reserved);
  return size(known) == size(key) && memory.compare(start(known), start(key), size(key)) == 0;
}

/** Counts what a request took in place of what was reserved for it. */
function settle(reserved: Part, used: i64): void {
  const amount = whole(part(start(reserved), spaceIn(reserved) - start(reserved)));
  if (amount < 0 || used == amount) return;
  const key = keyIn(reserved);
  const sum = kvAdd(key, used - amount, GRACE);
  // A model that has said nothing may be one that there is not.
  if (sum == 0 && byModel && modelIn(key) < end(key)) takeAway(key);
}

/** Tokens of a usage; -1 if it does not say. */
function tokensOf(usage: Part): i64 {
  const total = whole(member(usage, "total_tokens"));
  if (total >= 0) return total;
  const asked = whole(member(usage, "prompt_tokens"));
  const said = whole(member(usage, "completion_tokens"));
  return asked < 0 && said < 0 ? -1 : max<i64>(asked, 0) + max<i64>(said, 0);
}

export function on_usage(at: usize, length: i32): u64 {
  const message = part(at, length);
  const reserved = attributeIn(member(member(message, "context"), "attributes"), RESERVED);
  if (reserved == NONE) return 0;
  const input = member(message, "input");
  const used = tokensOf(member(input, "usage"));
  if (used >= 0) settle(reserved, used);
  // Nothing was said, nothing is counted. An answer without numbers counts as it was estimated.
  else if (!is(member(input, "answered"), "true")) settle(reserved, 0);
  setAttribute(RESERVED, NONE);
  return 0;
}
