// What the audit plugin keeps of records while it verifies them, and which numbers of requests have none.
import { end, part, Part, plugin_reset, start } from "./gateway";

const HEX: usize = 64;
/** Bytes that are kept for each record that was read: the run of the gateway, and the number there. */
const ENTRY: usize = 16;
/** Added to the number of a request that was over long ago. */
const OLD: i64 = 1 << 62;
/** Requests that are told at the same time get their places in any order: so many of the oldest records may lack others. */
const RIM = 64;
/** Runs of the gateway that are looked at. */
const MAX_RUNS = 64;
/** Numbers of which the first that is missing is told. */
const MAX_NUMBERS: i64 = 1 << 23;

/** What stays while records are read one after the other: a digest, and what their requests are known by. */
let kept: usize = 0;

/** Forgets everything but what stays: all records together have no room. */
export function forget(count: i64): void {
  plugin_reset();
  kept = heap.alloc(HEX + ENTRY * <usize>count);
}

/** Sixteen hexadecimal digits, or fewer, as a number. */
function runOf(text: Part): u64 {
  let run: u64 = 0;
  for (let at = start(text); at < min(end(text), start(text) + 16); at++) {
    const byte = <u64>load<u8>(at);
    run = (run << 4) | (byte <= 0x39 ? byte & 15 : (byte & 15) + 9);
  }
  return run;
}

export function keepHash(hash: Part): void {
  memory.copy(kept, start(hash), HEX);
}

export function keptHash(): Part {
  return part(kept, HEX);
}

/** Keeps what the request of a record is known by; `isOld` if all that were told before it have their records, or never will. */
export function note(index: i64, gateway: Part, number: i64, isOld: bool): void {
  store<u64>(entryAt(index), runOf(gateway));
  store<i64>(entryAt(index) + 8, number <= 0 ? 0 : isOld ? number | OLD : number);
}

function entryAt(index: i64): usize {
  return kept + HEX + ENTRY * <usize>index;
}

/** The first record behind a number that the gateway gave to a request, and of which there is no record; -1 if there is none. */
export function firstGap(count: i64, wasCut: bool): i64 {
  for (let runs = 0; runs < MAX_RUNS; runs++) {
    let at: i64 = 0;
    while (at < count && load<i64>(entryAt(at) + 8) == 0) at++;
    if (at == count) break;
    const gap = gapOf(load<u64>(entryAt(at)), at, count, wasCut);
    if (gap >= 0) return gap;
  }
  return -1;
}

/** The same for one run of the gateway, whose numbers are forgotten. */
function gapOf(run: u64, from: i64, count: i64, wasCut: bool): i64 {
  let below: i64 = i64.MAX_VALUE;
  let rim: i64 = 0;
  let most: i64 = 0;
  for (let i = from; i < count; i++) {
    const told = load<i64>(entryAt(i) + 8);
    if (told == 0 || load<u64>(entryAt(i)) != run) continue;
    const number = told & ~OLD;
    below = min(below, number - 1);
    if (wasCut && i < RIM) rim = max(rim, number);
    if ((told & OLD) != 0) most = max(most, number);
  }
  below = max(below, rim);
  let there: i64 = 0;
  const numbers = min(max<i64>(most - below, 0), MAX_NUMBERS);
  const seen = heap.alloc(<usize>numbers / 8 + 1);
  memory.fill(seen, 0, <usize>numbers / 8 + 1);
  let gap: i64 = -1;
  for (let i = from; i < count; i++) {
    const number = load<i64>(entryAt(i) + 8) & ~OLD;
    if (number == 0 || load<u64>(entryAt(i)) != run) continue;
    if (number > below && number <= below + numbers) {
      const bit = <i32>(number - below - 1);
      const byte = seen + bit / 8;
      const mask = (<u8>1) << <u8>(bit & 7);
      if ((load<u8>(byte) & mask) == 0) there++;
      store<u8>(byte, load<u8>(byte) | mask);
    }
  }
  if (there < numbers) {
    let missing = 0;
    while ((load<u8>(seen + missing / 8) & ((<u8>1) << <u8>(missing & 7))) != 0) missing++;
    for (let i = from; i < count && gap < 0; i++)
      if (load<u64>(entryAt(i)) == run && (load<i64>(entryAt(i) + 8) & ~OLD) > below + 1 + missing) gap = i;
  }
  for (let i = from; i < count; i++) if (load<u64>(entryAt(i)) == run) store<i64>(entryAt(i) + 8, 0);
  return gap;
}
