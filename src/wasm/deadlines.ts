// Deadlines of guests that are suspended: one timer for all of them, since most suspensions are over long before.

/** Something that ends at a time. */
export interface Expiring {
  /** Reading of `performance.now()` at which it ends. */
  readonly expiresAt: number;
  expire(): void;
}

const watched = new Set<Expiring>();
let timer: NodeJS.Timeout | undefined;
let firesAt = Number.POSITIVE_INFINITY;

/** Calls `expire` at the deadline unless {@link forget} comes first. Keeps the process alive meanwhile. */
export function watch(item: Expiring): void {
  if (watched.size === 0) timer?.ref();
  watched.add(item);
  if (item.expiresAt < firesAt) arm(item.expiresAt);
}

/** Takes an item out; the timer, if nobody needs it any more, no longer keeps the process alive. */
export function forget(item: Expiring): void {
  if (watched.delete(item) && watched.size === 0) timer?.unref();
}

function arm(at: number): void {
  const before = timer;
  // A timer takes whole milliseconds, and 2^31 - 1 of them at most. If there is no room on the stack to set it, everything
  // stays as it was.
  timer = setTimeout(fire, Math.min(Math.max(Math.ceil(at - performance.now()), 1), 0x7fff_ffff));
  firesAt = at;
  clearTimeout(before);
}

function fire(): void {
  timer = undefined;
  firesAt = Number.POSITIVE_INFINITY;
  const now = performance.now();
  let next = Number.POSITIVE_INFINITY;
  for (const item of watched) {
    // A timer may come a little early.
    if (item.expiresAt <= now + 0.5) {
      watched.delete(item);
      item.expire();
    } else next = Math.min(next, item.expiresAt);
  }
  if (watched.size > 0) arm(next);
}
