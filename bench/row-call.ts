// Rows 1 to 3: whole calls, against the peers and against the guest's own loop.

import { type Contender, type Input, contenders } from "./contenders.ts";
import { direct } from "./direct-loop.ts";
import { type Samples, interleave, ratioOf, spread } from "./measure.ts";
import { guestBytes } from "./modules.ts";
import { type Result, type Row, type RowOptions, faster, slower } from "./report.ts";

const KIB = 1024;

interface Question {
  readonly guest: string;
  readonly fn: string;
  readonly input: Input;
  readonly size: string;
  readonly goals: { readonly call: number; readonly callSync: number };
  /** Also compares with the same loop over the guest's own memory. */
  readonly loopGoal?: number;
}

const PARAGRAPH =
  "A mortise is a hole that is cut into a piece of wood to take a tenon, the tongue on the end of another piece. The two have held " +
  "tables, doors and whole houses together for several thousand years, often without a nail or a drop of glue. Whoever cuts the mortise " +
  "decides what may go in: its length, its width and how deep it reaches; the tenon has to keep within that, whoever made it. A joint that " +
  "is too loose does not hold, and one that is too tight splits the wood, so both sides are measured before anything is cut. ";

/** English text of so many bytes: the paragraph, repeated. */
function text(size: number): Uint8Array {
  return new TextEncoder().encode(PARAGRAPH.repeat(Math.ceil(size / PARAGRAPH.length)).slice(0, size));
}

async function ask(question: Question, { effort }: RowOptions): Promise<Result[]> {
  const { guest, fn, input, size, goals, loopGoal } = question;
  const cases: Contender[] = await contenders(guest, fn, input);
  if (loopGoal !== undefined)
    cases.push(await direct(await guestBytes(guest), fn, input as Uint8Array, (await (cases[0] as Contender).answer()).length));
  const samples = await interleave(cases, effort);
  for (const item of cases) await item.close();
  const [call, callSync, v2, v1, door, loop] = samples as [Samples, Samples, Samples, Samples, Samples, Samples | undefined];
  const line = (ours: Samples, method: "call" | "callSync", peer: Samples, name: string): Result =>
    faster(`${guest} ${size}, ${method} against ${name}`, spread(ours), spread(peer), ratioOf(peer, ours), goals[method]);
  const lines = [
    line(call, "call", v2, "2.0.0-rc13"),
    line(callSync, "callSync", v2, "2.0.0-rc13"),
    line(call, "call", v1, "1.0.3"),
    line(callSync, "callSync", v1, "1.0.3"),
    faster(`${guest} ${size}, mortise/extism against 2.0.0-rc13`, spread(door), spread(v2), ratioOf(v2, door), goals.call),
  ];
  if (loop !== undefined) {
    lines.push(slower(`${guest} ${size}, callSync against the bare loop`, spread(callSync), spread(loop), ratioOf(callSync, loop), loopGoal));
  }
  return lines;
}

async function askAll(questions: readonly Question[], options: RowOptions): Promise<Result[]> {
  const results: Result[] = [];
  for (const question of questions) results.push(...(await ask(question, options)));
  return results;
}

const VOWELS = ["count_vowels.rs", "count_vowels.c", "count_vowels.ts"] as const;

export const CALL: Row = {
  name: "call",
  title: "a whole call with 13 bytes",
  measures:
    'Calls count_vowels with the text "Hello, World!" until the output\'s bytes are in hand, on the same thread, against both releases of @extism/extism.',
  run: (options) =>
    askAll(
      VOWELS.map((guest) => ({ guest, fn: "count_vowels", input: "Hello, World!", size: "13 B", goals: { call: 8, callSync: 12 } })),
      options,
    ),
};

export const ECHO: Row = {
  name: "echo",
  title: "bytes in, the same bytes out",
  measures: "Copies the input into guest memory and from there into the output, 8 bytes a load or store, against both releases of @extism/extism.",
  run: (options) =>
    askAll(
      [1, 64].flatMap((kib) =>
        ["echo.rs", "echo.c"].map((guest) => {
          const goal = kib === 1 ? 20 : 30;
          return { guest, fn: "echo", input: text(kib * KIB), size: `${kib} KiB`, goals: { call: goal, callSync: goal } };
        }),
      ),
      options,
    ),
};

export const SCAN: Row = {
  name: "scan",
  title: "a guest that reads all of its input",
  measures:
    "Counts the vowels of text, where the guest's own loop dominates, against both releases of @extism/extism and against the same function run bare over its own memory, with nothing copied in or out.",
  run: (options) =>
    askAll(
      [1, 64].flatMap((kib) =>
        VOWELS.map((guest) => ({
          guest,
          fn: "count_vowels",
          input: text(kib * KIB),
          size: `${kib} KiB`,
          goals: { call: 5, callSync: 5 },
          loopGoal: 1.3,
        })),
      ),
      options,
    ),
};
