// A plugin for an LLM gateway: a record of every request, each with the digest of the one before, so that none can be changed
// or taken out without its being seen. What was said is there as digests, unless texts are wanted.
import { begin, end, is, isNull, keep, member, Members, NONE, part, Part, put, putHex, putNumber, putPart, restOf, same, size, start, textOf, whole, written } from "./gateway";
import { digest, kvDelete, kvGet, kvReplace, logLine, now } from "./services";

export { malloc, plugin_reset } from "./gateway";

/** Bytes that the host hashes at once. */
const PIECE: usize = 1 << 20;
/** Longest values that are copied into a record, in bytes of JSON; longer ones are null. */
const MAX_VALUE: usize = 512;
const MAX_USAGE: usize = 2048;
/** Records that others may write while one is being written. */
const MAX_TRIES = 1000;
const HEX: usize = 64;
/** `,"hash":"…"}` */
const SEAL: usize = 9 + HEX + 2;

let records: i64 = 500;
let texts = false;
let textBytes: i64 = 8192;
let key: Part = NONE;

export function get_name(): u64 {
  begin(16);
  put("gateway-audit");
  return written();
}

export function init(at: usize, length: i32): i32 {
  const members = new Members(keep(part(at, length)));
  while (members.next()) {
    const value = members.whole();
    if (is(members.name, "records")) {
      records = whole(value);
      if (records < 10 || records > 100000) return 1;
    } else if (is(members.name, "texts")) {
      if (!is(value, "true") && !is(value, "false")) return 1;
      texts = is(value, "true");
    } else if (is(members.name, "text_bytes")) {
      textBytes = whole(value);
      if (textBytes < 0 || textBytes > 24000) return 1;
    } else if (is(members.name, "key")) {
      key = textOf(value);
      if (size(key) < 16) return 1;
    } else return 1;
  }
  return 0;
}

// ---- parts of a record

function putDigest(data: Part): void {
  if (size(data) <= PIECE) {
    putHex(digest(data, NONE));
    return;
  }
  // Of what is longer, the digest of the digests of its pieces.
  const pieces = (size(data) + PIECE - 1) / PIECE;
  const all = heap.alloc(32 * pieces);
  for (let i: usize = 0; i < pieces; i++) {
    const from = start(data) + i * PIECE;
    const one = digest(part(from, min(PIECE, end(data) - from)), NONE);
    memory.copy(all + 32 * i, start(one), 32);
  }
  putHex(digest(part(all, 32 * pieces), NONE));
}

function putMember(name: string, value: Part, most: usize): void {
  put(',"');
  put(name);
  put('":');
  if (value == NONE || size(value) > most) put("null");
  else putPart(value);
}

/** The beginning of a text as JSON text: of JSON, quotes and backslashes get another backslash. */
function putText(name: string, json: Part): void {
  put(',"');
  put(name);
  put('":"');
  let at = start(json);
  let last = min(end(json), at + <usize>textBytes);
  // Not inside of a character.
  while (last > at && last < end(json) && (load<u8>(last) & 0xc0) == 0x80) last--;
  for (; at < last; at++) {
    const byte = load<u8>(at);
    if (byte == 0x22 || byte == 0x5c) put("\\");
    putPart(part(at, 1));
  }
  put('"');
}

/** Everything of a record that does not depend on the one before. */
function bodyOf(input: Part): Part {
  const error = member(input, "error");
  const request = member(input, "request");
  const response = member(input, "response");
  begin(16384 + 4 * <usize>textBytes);
  put(',"time_ms":');
  putNumber(now());
  putMember("request_id", member(input, "request_id"), MAX_VALUE);
  putMember("client", member(input, "client"), MAX_VALUE);
  putMember("api", member(input, "api"), MAX_VALUE);
  putMember("provider", member(input, "provider"), MAX_VALUE);
  putMember("model", member(input, "model"), MAX_VALUE);
  putMember("stream", member(input, "stream"), MAX_VALUE);
  put(',"status":');
  const status = whole(member(error, "status"));
  putNumber(isNull(error) ? 200 : status < 0 ? 500 : status);
  putMember("code", isNull(error) ? NONE : member(error, "code"), MAX_VALUE);
  putMember("usage", member(input, "usage"), MAX_USAGE);
  putMember("attempts", member(input, "attempts"), MAX_VALUE);
  putMember("duration_ms", member(input, "duration_ms"), MAX_VALUE);
  put(',"request_sha256":"');
  putDigest(request);
  put('","answer_sha256":');
  if (isNull(response)) put("null");
  else {
    put('"');
    putDigest(response);
    put('"');
  }
  if (texts) {
    putText("request", request);
    putText("answer", response);
  }
  return written();
}

// ---- the chain

function recordKey(number: i64): Part {
  begin(32);
  put("r:");
  putNumber(number);
  return written();
}

function headKey(): Part {
  begin(8);
  put("head");
  return written();
}

/** The number in front of the space of `12 9f86…`; 0 if there is no head. */
function headNumber(head: Part): i64 {
  if (size(head) <= HEX + 1) return 0;
  return max<i64>(whole(part(start(head), size(head) - HEX - 1)), 0);
}

/** The digest at the end of a record, or of the head. */
function hashIn(text: Part, behind: usize): Part {
  return size(text) < HEX + behind ? NONE : part(end(text) - HEX - behind, HEX);
}

/** A record with its place in the chain. */
function sealed(number: i64, body: Part, previous: Part): Part {
  begin(size(body) + 512);
  put('{"seq":');
  putNumber(number);
  putPart(body);
  put(',"previous":"');
  if (previous == NONE) for (let i: usize = 0; i < HEX; i++) put("0");
  else putPart(previous);
  put('"');
  putSeal(digest(written(), key));
  return written();
}

/** The end of a record. */
function putSeal(hash: Part): void {
  put(',"hash":"');
  putHex(hash);
  put('"}');
}

/** Moves the head on, unless another has moved it further. */
function advance(number: i64, hash: Part): void {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const known = kvGet(headKey());
    if (headNumber(known) >= number) return;
    begin(32 + HEX);
    putNumber(number);
    put(" ");
    putPart(hash);
    const next = written();
    if (kvReplace(headKey(), known, next)) return;
  }
}

export function on_completion(at: usize, length: i32): u64 {
  const input = restOf(part(at, length), "input");
  const body = bodyOf(input);
  const head = kvGet(headKey());
  let last = headNumber(head);
  let previous = last == 0 ? NONE : hashIn(head, 0);
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const record = sealed(last + 1, body, previous);
    // The place can be taken once.
    if (kvReplace(recordKey(last + 1), NONE, record)) {
      advance(last + 1, hashIn(record, 2));
      if (last + 1 > records) kvDelete(recordKey(last + 1 - records));
      logLine(record);
      return 0;
    }
    last++;
    previous = hashIn(kvGet(recordKey(last)), 2);
  }
  // The host says what that means: the record is missing, and that must be seen.
  return unreachable();
}

// ---- looking whether all is as it was

function broken(number: i64, reason: string): u64 {
  begin(256);
  put('{"ok":false,"broken":');
  putNumber(number);
  put(',"reason":"');
  put(reason);
  put('"}');
  return written();
}

/** `verify`: reads all records that are kept, and says which is the first that is not what was written. */
export function verify(_at: usize, _length: i32): u64 {
  const head = kvGet(headKey());
  const last = headNumber(head);
  const first = max<i64>(last - records + 1, 1);
  let previous: Part = NONE;
  let number = first;
  for (; ; number++) {
    const record = kvGet(recordKey(number));
    if (record == NONE) {
      if (number > last) break;
      return broken(number, "the record is missing");
    }
    if (size(record) <= SEAL) return broken(number, "the record is not one");
    const content = part(start(record), size(record) - SEAL);
    const hash = digest(content, key);
    begin(SEAL);
    putSeal(hash);
    if (!same(written(), part(end(content), SEAL))) return broken(number, "the record was changed");
    if (whole(member(record, "seq")) != number) return broken(number, "the record has another number");
    const stated = textOf(member(record, "previous"));
    if (previous != NONE && !same(previous, stated)) return broken(number, "the record does not follow the one before");
    previous = hashIn(record, 2);
    if (number == last && !same(previous, hashIn(head, 0))) return broken(number, "the record is not the one that was written last");
  }
  begin(256);
  put('{"ok":true,"records":');
  putNumber(number - first);
  put(',"first":');
  putNumber(first);
  put(',"last":');
  putNumber(number - 1);
  put("}");
  return written();
}
