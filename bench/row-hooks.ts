// A hook with plugins that do nothing, which is what hooks themselves cost; and with plugins that read, and change, what they get.

import { type Host, createHost, hook } from "../src/index.ts";
import { assembleText } from "../test/wasm/assemble.ts";
import { type Case, type Samples, type Spread, interleave, spread } from "./measure.ts";
import { guestBytes } from "./modules.ts";
import { type Result, type Row, type RowOptions } from "./report.ts";

const HOOKS = { beforeSave: hook.chain<Document>() };
const GOAL_US = 10;
const GOAL_EMPTY_US = 0.1;

interface Document {
  readonly title: string;
  readonly tags: readonly string[];
  readonly sections: readonly { readonly heading: string; readonly text: string }[];
}

/** A document of 1 KiB in JSON; with digits in it `before_save` of hooks.c has something to do. */
function documentOf(text: string): Document {
  const sections = ["one", "two", "three", "four"].map((heading) => ({ heading, text }));
  const made = { title: "", tags: ["joinery", "wood", "tools"], sections };
  return { ...made, title: "x".repeat(1024 - JSON.stringify(made).length) };
}

const PLAIN = documentOf("The mortise takes the tenon, and the two have held tables, doors and whole houses together. ".repeat(2));
const DIGITS = documentOf("The mortise takes the tenon, and the 2 have held tables, doors and whole houses together.. ".repeat(2));

interface Contender extends Case {
  readonly host: Host<typeof HOOKS>;
}

/** A hook with so many plugins, all made of the same module. */
async function hooked(name: string, bytes: Uint8Array<ArrayBuffer>, count: number, input: Document): Promise<Contender> {
  const host = await createHost({ hooks: HOOKS });
  for (let index = 0; index < count; index++) await host.plugins.load(bytes, { name: `plugin-${index}` });
  const { beforeSave } = host.hooks;
  if (beforeSave.plugins.length !== count) throw new Error(`the hook has ${beforeSave.plugins.length} plugins`);
  return {
    name,
    host,
    run: async (times) => {
      for (let left = times; left > 0; left--) await beforeSave(input);
    },
  };
}

/** The same plugins, called one by one with the messages that the hook would send: what they cost without it. */
async function direct(bytes: Uint8Array<ArrayBuffer>, count: number, inputs: readonly Document[]): Promise<Contender> {
  const made = await hooked("direct", bytes, count, PLAIN);
  const context = made.host.request();
  const messages = inputs.map((input) => `{"input":${JSON.stringify(input)},"context":{"request_id":"${context.id}","attributes":{}}}`);
  const calls = Array.from({ length: count }, (_, index) => {
    const plugin = made.host.plugins.get(`plugin-${index}`);
    if (plugin === undefined) throw new Error("there is no such plugin");
    return { plugin, message: messages[Math.min(index, messages.length - 1)] };
  });
  return {
    ...made,
    run: (times) => {
      for (let left = times; left > 0; left--) for (const { plugin, message } of calls) plugin.callSync("before_save", message, { context }).bytes();
    },
  };
}

async function run({ effort }: RowOptions): Promise<Result[]> {
  const nothing = await assembleText("nothing", '(module (memory 1) (func (export "before_save")))');
  const masks = await guestBytes("hooks.c");
  const masked = JSON.parse(JSON.stringify(DIGITS).replaceAll(/\d/g, "#")) as Document;
  if (JSON.stringify(await (await hooked("check", masks, 1, DIGITS)).host.hooks.beforeSave(DIGITS)) !== JSON.stringify(masked))
    throw new Error("the guest did not mask the digits");
  const counts = [0, 1, 3, 10];
  const cases = [
    ...(await Promise.all(counts.map((count) => hooked(`${count}`, nothing, count, PLAIN)))),
    await hooked("plain", masks, 3, PLAIN),
    await direct(masks, 3, [PLAIN]),
    await hooked("digits", masks, 3, DIGITS),
    await direct(masks, 3, [DIGITS, masked]),
  ];
  const samples = await interleave(cases, effort);
  for (const { host } of cases) await host.close();
  const [plain, plainDirect, digits, digitsDirect] = samples.slice(counts.length) as [Samples, Samples, Samples, Samples];
  return [
    ...counts.map((count, index) => whole(count, spread(samples[index] as Samples))),
    above("three plugins that read 1 KiB and continue", plain, plainDirect),
    above("three plugins that read 1 KiB, the first of which changes it", digits, digitsDirect),
  ];
}

/** Nothing but the hook: its plugins return at once. */
function whole(count: number, taken: Spread): Result {
  const goal = count === 0 ? GOAL_EMPTY_US : count === 3 ? GOAL_US : undefined;
  return {
    what: `1 KiB of JSON, ${count} plugins that do nothing`,
    ours: time(taken.median),
    against: "",
    value: `${time(taken.median)} (${time(taken.min)}..${time(taken.max)})`,
    ...(goal === undefined ? {} : { goal: `< ${time(goal)}`, reached: taken.median < goal }),
    numbers: { us: taken.median, minUs: taken.min, maxUs: taken.max, plugins: count },
  };
}

/** What a hook adds to the calls of its plugins. */
function above(what: string, hookTimes: Samples, directTimes: Samples): Result {
  const added = spread(hookTimes.map((value, round) => value - (directTimes[round] as number)));
  return {
    what,
    ours: time(spread(hookTimes).median),
    against: `${time(spread(directTimes).median)} called directly`,
    value: `${time(added.median)} more (${time(added.min)}..${time(added.max)})`,
    goal: `< ${time(GOAL_US)} more`,
    reached: added.median < GOAL_US,
    numbers: { hookUs: spread(hookTimes).median, directUs: spread(directTimes).median, addedUs: added.median },
  };
}

function time(microseconds: number): string {
  return `${microseconds.toFixed(2)} µs`;
}

export const HOOKS_ROW: Row = {
  name: "hooks",
  title: "a hook over 1 KiB of JSON",
  measures:
    "Runs a chain hook until its promise is fulfilled: with plugins that return at once, so that the whole time is the host's; and with plugins that read the message and look for digits in its texts, against the same functions called one by one with messages that are written already.",
  run,
};
