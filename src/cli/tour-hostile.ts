// The second part of the tour: guests that mean harm, and an event loop that goes on.

import { type Plugin, loadPlugin } from "../index.ts";
import { toMortiseError } from "./failure.ts";
import type { Heartbeat } from "./heartbeat.ts";
import { HOSTILE_GUESTS, type HostileGuest } from "./hostile-guests.ts";
import { milliseconds, short } from "./quantities.ts";
import type { SelfCheck } from "./self-check.ts";

/** The limits that the guests run under. */
export const HOSTILE_LIMITS = { timeoutMs: 50, memoryBytes: 16 * 1024 * 1024 } as const;

/** Columns of the rows. */
export const HOSTILE_COLUMNS = ["guest", "stopped by", "after", "fuel", "pause", "next call"] as const;

/** How much later than its deadline a guest may be stopped before the tour calls it a failure: machines can be busy. */
const TOLERANCE_MS = 450;
/** Ticks of the timer before and after each attack. */
const TICKS_AROUND = 3;

/** What the tour shows of one guest. */
export interface HostileRow {
  readonly cells: readonly string[];
  readonly does: string;
}

/** Runs every hostile guest while the timer ticks. */
export async function runHostileGuests(heartbeat: Heartbeat, check: SelfCheck): Promise<HostileRow[]> {
  const rows: HostileRow[] = [];
  for (const guest of HOSTILE_GUESTS) rows.push(await runHostileGuest(guest, heartbeat, check));
  return rows;
}

async function runHostileGuest({ name, does, bytes }: HostileGuest, heartbeat: Heartbeat, check: SelfCheck): Promise<HostileRow> {
  await using plugin = await loadPlugin(bytes, { name, limits: HOSTILE_LIMITS });
  await heartbeat.beat(TICKS_AROUND);
  heartbeat.forget();
  await heartbeat.beat(1);
  const { code, afterMs } = attack(plugin);
  const fuel = plugin.stats().fuel.last;
  await heartbeat.beat(TICKS_AROUND);
  const pause = heartbeat.longestPauseMs;
  check.expect(code === "MORTISE_TIMEOUT" || (name === "grows for ever" && code === "MORTISE_MEMORY_LIMIT"), `"${name}" ended with ${code}`);
  const latest = HOSTILE_LIMITS.timeoutMs + TOLERANCE_MS;
  check.expect(afterMs < latest, `"${name}" was stopped after ${milliseconds(afterMs)}, later than ${latest} ms`);
  check.expect(fuel > 0, `"${name}" used no fuel`);
  check.expect(pause < latest, `the event loop stood still for ${milliseconds(pause)}, longer than ${latest} ms`);
  return { cells: [name, code, milliseconds(afterMs), short(fuel), milliseconds(pause), nextCall(plugin, name, check)], does };
}

function attack(plugin: Plugin): { code: string; afterMs: number } {
  const began = performance.now();
  try {
    plugin.callSync("attack");
  } catch (error) {
    return { code: toMortiseError(error).code, afterMs: performance.now() - began };
  }
  return { code: "nothing: it returned", afterMs: performance.now() - began };
}

function nextCall(plugin: Plugin, name: string, check: SelfCheck): string {
  try {
    plugin.callSync("hello");
    return "works";
  } catch (error) {
    const { code, message } = toMortiseError(error);
    check.expect(false, `the next call of "${name}" failed: ${code}: ${message}`);
    return "fails";
  }
}
