// Polling: waiting for a time, and asking whether descriptors can be read or written, which is always the case.
//
// Facts: `$subscription` and `$event` of wasi_snapshot_preview1.witx.

import { CLOCK, guestTime } from "./clocks.ts";
import type { Functions, WasiContext } from "./context.ts";
import { ERRNO, type Errno, errnoOf, fail } from "./errno.ts";
import { RIGHT } from "./rights.ts";

const SUBSCRIPTION_BYTES = 48;
const EVENT_BYTES = 32;
const MAX_SUBSCRIPTIONS = 1024;
/** `$eventtype`. */
const EVENT = { clock: 0, read: 1, write: 2 } as const;
/** `$subclockflags`. */
const ABSOLUTE = 1;
const MILLISECOND = 1_000_000n;
/** By how much a timer of Node.js may come early, seen by a finer clock. */
const TIMER_SLACK_MS = 1;
/** Longest time that a timer of Node.js takes. */
const MAX_TIMER_MS = 0x7fff_ffff;
/** Waits that take longer than this many milliseconds are for ever. */
const FOR_EVER_MS = 1n << 53n;

/** One thing that the guest wants to hear of. */
interface Subscription {
  readonly userData: bigint;
  readonly type: number;
  /** The answer, or undefined for a time that has not come. */
  readonly errno: Errno | undefined;
  readonly readyBytes: bigint;
  /** Milliseconds from now. */
  readonly dueMs: number;
}

/** `poll_oneoff`. */
export function pollFunctions(context: WasiContext): Functions {
  const { memory, host } = context;
  return {
    poll_oneoff: (input: number, output: number, count: number, eventsAt: number) => {
      const total = count >>> 0;
      if (total === 0 || total > MAX_SUBSCRIPTIONS) fail(ERRNO.inval);
      memory.range(input, total * SUBSCRIPTION_BYTES);
      memory.range(output, total * EVENT_BYTES);
      memory.range(eventsAt, 4);
      host.charge(total * SUBSCRIPTION_BYTES);
      const wanted = Array.from({ length: total }, (_, index) => readSubscription(context, (input >>> 0) + index * SUBSCRIPTION_BYTES));
      const finish = (waitedMs: number): number => {
        // The guest may have run while it was waited for.
        const base = memory.range(output, total * EVENT_BYTES);
        memory.range(eventsAt, 4);
        let events = 0;
        for (const item of wanted) if (item.errno !== undefined || item.dueMs <= waitedMs) writeEvent(context, base + EVENT_BYTES * events++, item);
        memory.setU32(eventsAt, events);
        return events === 0 ? ERRNO.intr : ERRNO.success;
      };
      const waitMs = wanted.some(({ errno }) => errno !== undefined) ? 0 : Math.min(...wanted.map(({ dueMs }) => dueMs));
      return waitMs <= 0 ? finish(0) : wait(context, waitMs, finish);
    },
  };
}

function readSubscription(context: WasiContext, at: number): Subscription {
  const { view } = context.memory;
  const userData = view.getBigUint64(at, true);
  const type = view.getUint8(at + 8);
  if (type === EVENT.clock) return { userData, type, readyBytes: 0n, ...clockDue(context, at + 16) };
  if (type !== EVENT.read && type !== EVENT.write) fail(ERRNO.inval);
  return { userData, type, dueMs: 0, ...descriptorReady(context, view.getInt32(at + 16, true), type) };
}

function clockDue(context: WasiContext, at: number): Pick<Subscription, "errno" | "dueMs"> {
  const { view } = context.memory;
  const id = view.getUint32(at, true);
  const timeout = view.getBigUint64(at + 8, true);
  const flags = view.getUint16(at + 24, true);
  if (id > CLOCK.threadTime || (flags & ~ABSOLUTE) !== 0) return { errno: ERRNO.inval, dueMs: 0 };
  // By the clock that the guest can read: which of several times have come would tell the time more finely.
  const waitNs = flags === ABSOLUTE ? timeout - guestTime(context, id) : timeout;
  // Rounded up: a guest must not wake before its time.
  const waitMs = waitNs <= 0n ? 0n : (waitNs + MILLISECOND - 1n) / MILLISECOND;
  return { errno: undefined, dueMs: waitMs > FOR_EVER_MS ? Number.POSITIVE_INFINITY : Number(waitMs) };
}

function descriptorReady({ descriptors }: WasiContext, fd: number, type: number): Pick<Subscription, "errno" | "readyBytes"> {
  try {
    const descriptor = descriptors.get(fd, RIGHT.poll | (type === EVENT.read ? RIGHT.fdRead : RIGHT.fdWrite));
    const left = descriptor.kind === "file" && type === EVENT.read ? Math.max(0, descriptor.file.size() - descriptor.position) : 1;
    return { errno: ERRNO.success, readyBytes: BigInt(left) };
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    return { errno, readyBytes: 0n };
  }
}

function writeEvent({ memory }: WasiContext, at: number, { userData, type, errno, readyBytes }: Subscription): void {
  const { view } = memory;
  view.setBigUint64(at, userData, true);
  view.setUint16(at + 8, errno ?? ERRNO.success, true);
  view.setUint32(at + 10, type, true);
  view.setUint16(at + 14, 0, true);
  view.setBigUint64(at + 16, readyBytes, true);
  view.setBigUint64(at + 24, 0n, true);
}

/**
 * Waits, suspended if that is possible, otherwise with the thread; until the call's deadline at most. It has passed for
 * certain then: a guest that woke just before it would go on for a moment and take this for an interruption.
 */
function wait(context: WasiContext, waitMs: number, finish: (waitedMs: number) => number): number | Promise<number> {
  const { host, grants } = context;
  const leftMs = Math.ceil(Math.max(0, host.timeLeftMs()));
  if (!host.canSuspend()) {
    grants.clock.block(Math.min(waitMs, leftMs));
    return finish(Math.min(waitMs, leftMs));
  }
  const untilMs = Math.min(waitMs, leftMs + TIMER_SLACK_MS);
  return new Promise((resolve, reject) => {
    let restMs = untilMs;
    startNext();

    function startNext(): void {
      const stepMs = Math.min(restMs, MAX_TIMER_MS);
      restMs -= stepMs;
      const timer = setTimeout(() => {
        context.waits.timers.delete(timer);
        if (restMs > 0) return startNext();
        try {
          resolve(finish(untilMs));
        } catch (error) {
          reject(error);
        }
      }, stepMs);
      context.waits.timers.add(timer);
    }
  });
}
