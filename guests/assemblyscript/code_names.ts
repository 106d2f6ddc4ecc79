// A guard for an LLM gateway: names that must not leave the house. Requests that have one are refused, and answers that have
// one are kept back, also where a stream has it in two pieces. Clients that are trusted may say anything.
import { begin, end, endsWith, is, keep, member, Members, NONE, part, Part, put, putPart, requestFields, size, start, textOf, valueEnd, written } from "./gateway";
import { getAttribute, setAttribute } from "./services";

export { malloc, plugin_reset } from "./gateway";

/** Bytes of a name. */
const SHORTEST: usize = 3;
const LONGEST: usize = 64;

let config: Part = NONE;

export function get_name(): u64 {
  begin(16);
  put("code-names");
  return written();
}

/** Whatever is not 0 keeps the plugin from loading. */
export function init(at: usize, length: i32): i32 {
  config = keep(part(at, length));
  const members = new Members(config);
  while (members.next()) if (!is(members.name, "names") && !is(members.name, "trusted")) return 1;
  const names = member(config, "names");
  let count = 0;
  for (let next = first(names); next < end(names); next = after(next, names)) {
    const name = textOf(part(next, valueEnd(next, end(names)) - next));
    if (size(name) < SHORTEST || size(name) > LONGEST) return 1;
    for (let i = start(name); i < end(name); i++) if (load<u8>(i) > 0x7e || load<u8>(i) == 0x5c) return 1;
    count++;
  }
  return count > 0 ? 0 : 1;
}

// ---- looking for names

/** Where the first element of a list begins, and the one after another; its end if there is none. */
function first(list: Part): usize {
  return size(list) > 2 && load<u8>(start(list)) == 0x5b ? start(list) + 1 : end(list);
}
function after(element: usize, list: Part): usize {
  return valueEnd(element, end(list)) + 1;
}

function lower(byte: u32): u32 {
  return byte - 0x41 < 26 ? byte | 0x20 : byte;
}

function startsWith(at: usize, name: Part): bool {
  for (let i: usize = 0; i < size(name); i++) if (lower(load<u8>(at + i)) != lower(load<u8>(start(name) + i))) return false;
  return true;
}

/** True if a text has one of the names, in capitals or not. The host's JSON escapes no letters. */
function hasName(text: Part): bool {
  const names = member(config, "names");
  for (let next = first(names); next < end(names); next = after(next, names)) {
    const name = textOf(part(next, valueEnd(next, end(names)) - next));
    for (let at = start(text); at + size(name) <= end(text); at++) if (startsWith(at, name)) return true;
  }
  return false;
}

function isTrusted(): bool {
  const client = getAttribute("client");
  const trusted = textOf(member(config, "trusted"));
  return client != NONE && size(client) == size(trusted) && memory.compare(start(client), start(trusted), size(client)) == 0;
}

// ---- the hooks

function putError(status: string, message: string): void {
  put('{"status_code":');
  put(status);
  put(',"allow_fallbacks":false,"type":"code_name","error":{"code":"code_name","message":"');
  put(message);
  put('"}}');
}

/** What goes wrong in a guard is said: then nothing passes. */
function fail(key: string): u64 {
  begin(128);
  put('{"');
  put(key);
  put('":"the message is not one that can be looked at"}');
  return written();
}

export function pre_hook(at: usize, length: i32): u64 {
  const fields = requestFields(part(at, length));
  const input = member(fields, "input");
  if (input == NONE) return fail("error");
  if (isTrusted() || !(hasName(input) || hasName(member(fields, "params")))) return 0;
  begin(512);
  put('{"short_circuit":{"error":');
  putError("403", "The request has a name that must not leave the house");
  put("}}");
  return written();
}

export function post_hook(at: usize, length: i32): u64 {
  const response = responseFields(part(at, length));
  const choices = member(response, "choices");
  // An error has no answer, and vectors say nothing.
  if (is(response, "null") || isTrusted() || member(response, "data") != NONE) return 0;
  if (choices == NONE) return fail("hook_error");
  let found = hasName(choices);
  for (let next = first(choices); next < end(choices) && !found; next = after(next, choices)) {
    const choice = part(next, end(choices) - next);
    const said = textOf(member(member(choice, "delta"), "content"));
    if (said != NONE) found = goesOn(member(choice, "index"), said);
  }
  if (!found) return 0;
  begin(512);
  put('{"response":null,"has_error":true,"error":');
  putError("502", "The answer has a name that must not leave the house");
  put("}");
  return written();
}

/** The response, whichever spelling it has. */
function responseFields(message: Part): Part {
  const response = member(message, "response");
  const members = new Members(response);
  if (!members.next()) return response;
  return endsWith(members.name, "_response") || endsWith(members.name, "Response") ? members.whole() : response;
}

/** True if a piece of a stream ends a name that those before it began. What a name may begin with is kept for the next piece. */
function goesOn(index: Part, said: Part): bool {
  begin(32);
  put("names.");
  putPart(index);
  const attribute = String.UTF8.decodeUnsafe(start(written()), size(written()));
  const before = getAttribute(attribute);
  begin(size(before) + size(said));
  putPart(before);
  putPart(said);
  const all = written();
  if (hasName(all)) return true;
  const kept = min(size(all), LONGEST - 1);
  setAttribute(attribute, part(end(all) - kept, kept));
  return false;
}
