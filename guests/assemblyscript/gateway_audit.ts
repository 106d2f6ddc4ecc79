// A plugin for an LLM gateway: a record of every request, each with the digest of the one before, so that none can be changed
// or taken out without its being seen. What was said is there as digests, unless texts are wanted.
import { begin, end, is, isNull, keep, member, Members, NONE, part, Part, put, putHex, putNumber, putPart, restOf, same, size, start, textOf, whole, written } from "./gateway";
import { firstGap, forget, keepHash, keptHash, note } from "./audit_gaps";
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

/** The beginning of a text as JSON text: of JSON, quotes and backslashes get another backslash, which counts. */
function putText(name: string, json: Part): void {
  put(',"');
  put(name);
  put('":"');
  let left = textBytes;
  for (let at = start(json); at < end(json); ) {
    const byte = load<u8>(at);
    const escaped = byte == 0x22 || byte == 0x5c;
    // Whole characters.
    let length: usize = 1;
    while (byte >= 0xc0 && at + length < end(json) && (load<u8>(at + length) & 0xc0) == 0x80) length++;
    left -= <i64>length + <i64>escaped;
    if (left < 0) break;
    if (escaped) put("\\");
    putPart(part(at, length));
    at += length;
  }
  put('"');
}

/** What a record says of a request. Each is looked for once, since what is between may be long. */
let values = new StaticArray<Part>(0);

const REQUEST_ID = 0;
const CLIENT = 1;
const API = 2;
const PROVIDER = 3;
const MODEL = 4;
const STREAM = 5;
const ERROR = 6;
const USAGE = 7;
const ATTEMPTS = 8;
const DURATION = 9;
const REQUEST = 10;
const RESPONSE = 11;
const GATEWAY = 12;
const NUMBER = 13;

function read(input: Part): void {
  values = new StaticArray<Part>(NUMBER + 1);
  const members = new Members(input);
  while (members.next()) {
    const i = indexOf(members.name);
    if (i >= 0) values[i] = members.whole();
  }
}

function indexOf(name: Part): i32 {
  if (is(name, "request_id")) return REQUEST_ID;
  if (is(name, "client")) return CLIENT;
  if (is(name, "api")) return API;
  if (is(name, "provider")) return PROVIDER;
  if (is(name, "model")) return MODEL;
  if (is(name, "stream")) return STREAM;
  if (is(name, "error")) return ERROR;
  if (is(name, "usage")) return USAGE;
  if (is(name, "attempts")) return ATTEMPTS;
  if (is(name, "duration_ms")) return DURATION;
  if (is(name, "request")) return REQUEST;
  if (is(name, "response")) return RESPONSE;
  if (is(name, "gateway")) return GATEWAY;
  return is(name, "number") ? NUMBER : -1;
}

/** Everything of a record that does not depend on the one before. */
function bodyOf(input: Part): Part {
  read(input);
  const error = values[ERROR];
  begin(16384 + 2 * <usize>textBytes);
  put(',"time_ms":');
  putNumber(now());
  putMember("gateway", values[GATEWAY], MAX_VALUE);
  putMember("number", values[NUMBER], MAX_VALUE);
  putMember("request_id", values[REQUEST_ID], MAX_VALUE);
  putMember("client", values[CLIENT], MAX_VALUE);
  putMember("api", values[API], MAX_VALUE);
  putMember("provider", values[PROVIDER], MAX_VALUE);
  putMember("model", values[MODEL], MAX_VALUE);
  putMember("stream", values[STREAM], MAX_VALUE);
  put(',"status":');
  const status = whole(member(error, "status"));
  putNumber(isNull(error) ? 200 : status < 0 ? 500 : status);
  putMember("code", isNull(error) ? NONE : member(error, "code"), MAX_VALUE);
  putMember("usage", values[USAGE], MAX_USAGE);
  putMember("attempts", values[ATTEMPTS], MAX_VALUE);
  putMember("duration_ms", values[DURATION], MAX_VALUE);
  put(',"request_sha256":"');
  putDigest(values[REQUEST]);
  put('","answer_sha256":');
  if (isNull(values[RESPONSE])) put("null");
  else {
    put('"');
    putDigest(values[RESPONSE]);
    put('"');
  }
  if (texts) {
    putText("request", values[REQUEST]);
    putText("answer", values[RESPONSE]);
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

/** What the head is for the last record, as `12 9f86… d081…`: its number, its digest, and the digest of both. */
function headOf(number: i64, hash: Part): Part {
  begin(32 + 2 * HEX);
  put("head ");
  putNumber(number);
  put(" ");
  putPart(hash);
  const named = written();
  const seal = digest(named, key);
  put(" ");
  putHex(seal);
  const all = written();
  return part(start(all) + 5, size(all) - 5);
}

/** The number of the last record, as the head says; 0 if there is none. */
function headNumber(head: Part): i64 {
  let at = start(head);
  while (at < end(head) && load<u8>(at) != 0x20) at++;
  return max<i64>(whole(part(start(head), at - start(head))), 0);
}

/** The digest of the last record; NONE for a head that none of these plugins wrote. */
function hashInHead(head: Part): Part {
  if (size(head) < 2 * HEX + 3) return NONE;
  const hash = part(end(head) - 2 * HEX - 1, HEX);
  return same(headOf(headNumber(head), hash), head) ? hash : NONE;
}

/** The digest at the end of a record. */
function hashIn(record: Part): Part {
  return size(record) < HEX + 2 ? NONE : part(end(record) - HEX - 2, HEX);
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

/** So long after a request, its record is there or will never be, and the head names it or a later one. */
const LATE_MS: i64 = 60_000;

function isLate(record: Part): bool {
  return whole(member(record, "time_ms")) <= now() - LATE_MS;
}

/** Moves the head on, unless another has moved it further. */
function advance(number: i64, hash: Part): void {
  const next = headOf(number, hash);
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const known = kvGet(headKey());
    if (headNumber(known) >= number || kvReplace(headKey(), known, next)) return;
  }
}

export function on_completion(at: usize, length: i32): u64 {
  const input = restOf(part(at, length), "input");
  const body = bodyOf(input);
  const head = kvGet(headKey());
  let last = headNumber(head);
  let previous = hashInHead(head);
  // Behind a head that somebody else wrote, the chain is broken for good: going on would hide what was taken out.
  let isSound = head == NONE || previous != NONE;
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const record = sealed(last + 1, body, isSound ? previous : NONE);
    // The place can be taken once.
    if (kvReplace(recordKey(last + 1), NONE, record)) {
      advance(last + 1, hashIn(record));
      if (last + 1 > records) kvDelete(recordKey(last + 1 - records));
      logLine(record);
      return 0;
    }
    last++;
    const other = kvGet(recordKey(last));
    previous = hashIn(other);
    // So is one that is gone, but for the first requests of all.
    if (head == NONE && isLate(other)) isSound = false;
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
  if (head != NONE && hashInHead(head) == NONE) return broken(max<i64>(last, 1), "what names the last record was changed");
  const first = max<i64>(last - records + 1, 1);
  // There may be some behind the head whose writers are about to move it.
  const most = records + MAX_TRIES;
  let number = first;
  for (; number - first < most; number++) {
    forget(most);
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
    if (number > first && !same(keptHash(), stated)) return broken(number, "the record does not follow the one before");
    if (number == last) {
      const named = kvGet(headKey());
      if (headNumber(named) == last && !same(hashIn(record), hashInHead(named))) return broken(number, "the record is not the one that was written last");
    }
    keepHash(hashIn(record));
    const told = whole(member(record, "number"));
    const isOld = isLate(record);
    if (head == NONE && isOld) return broken(number, "what names the last record is gone");
    note(number - first, textOf(member(record, "gateway")), told, isOld);
  }
  const count = number - first;
  const gap = firstGap(count, first > 1);
  if (gap >= 0) return broken(first + gap, "records in front of it were never written");
  begin(256);
  put('{"ok":true,"records":');
  putNumber(count);
  put(',"first":');
  putNumber(first);
  put(',"last":');
  putNumber(number - 1);
  put("}");
  return written();
}
