// A process that makes instances until no more are to be had, or as many as its argument says, and says how that went. With
// the argument "collected" it drops plugins without closing them, and says whether their places came back.

import { instanceCount, isMortiseError, loadPlugin, setInstanceCap } from "../../src/index.ts";
import { endOf } from "./opened.ts";

/** `wait` waits for ever; `echo` echoes. The bytes, since an assembler takes memories of its own. */
const GUEST = Buffer.from(process.env["CEILING_GUEST"] ?? "", "base64");

async function loadAndForget(): Promise<void> {
  const plugin = await loadPlugin(GUEST, { hostFunctions: { host: { ask: () => {} } } });
  plugin.callSync("echo", "x");
}

async function collected(): Promise<object> {
  const { live } = instanceCount();
  let made = 0;
  for (; made < 200; made++) await loadAndForget();
  for (let time = 0; time < 50 && instanceCount().live > live; time++) {
    (globalThis as { gc?: () => void }).gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { made, left: instanceCount().live - live };
}

async function ceiling(most: number): Promise<object> {
  setInstanceCap(100_000);
  const first = await loadPlugin(GUEST, { hostFunctions: { host: { ask: () => {} } } });
  const ask = (): Promise<void> => new Promise(() => {});
  const options = {
    stateless: true,
    pool: { maxInstances: 100_000 },
    limits: { timeoutMs: Number.POSITIVE_INFINITY },
    hostFunctions: { host: { ask } },
  };
  const greedy = await loadPlugin(GUEST, options);
  const codes = new Set<string>();
  const calls: Promise<string>[] = [];
  for (let failures = 0; failures < 5 && calls.length < most;) {
    const call = endOf(greedy.call("wait"));
    calls.push(call);
    // It fails at once or waits for ever.
    const end = await Promise.race([call, new Promise<string>((resolve) => setImmediate(resolve, ""))]);
    if (end === "") continue;
    failures++;
    codes.add(end);
  }
  const made = greedy.stats().instances.live;
  const works = first.callSync("echo", "works").text();
  await greedy.close({ abort: true });
  const ends = new Set(await Promise.all(calls));
  let recovered = "";
  for (let time = 0; time < 50 && recovered === ""; time++) {
    await new Promise((resolve) => setImmediate(resolve));
    try {
      await using plugin = await loadPlugin(GUEST, { hostFunctions: { host: { ask: () => {} } } });
      recovered = plugin.callSync("echo", "recovered").text();
    } catch (error) {
      if (!isMortiseError(error)) throw error;
    }
  }
  return { made, codes: Array.from(codes), ends: Array.from(ends).toSorted(), works, recovered, live: instanceCount().live };
}

const [, , mode] = process.argv;
try {
  process.stdout.write(`${JSON.stringify(await (mode === "collected" ? collected() : ceiling(Number(mode))))}\n`);
} catch (error) {
  // There was no room for the first instance.
  if (!isMortiseError(error)) throw error;
  process.stdout.write(`${JSON.stringify({ refused: error.code })}\n`);
}
