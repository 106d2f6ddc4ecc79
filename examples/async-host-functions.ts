// A host function that answers with a promise: the plugin is suspended until it settles, and everything else goes on.

import { type CallContext, isMortiseError, loadPlugin } from "mortise";

// Stands for a database that takes its time. Questions about "nobody" it never answers.
const questions: { readonly name: string; readonly answer: (text: string) => void }[] = [];

async function lookUp(context: CallContext, address: bigint): Promise<bigint> {
  const name = context.readText(address);
  const text = await new Promise<string>((resolve, reject) => {
    questions.push({ name, answer: resolve });
    // The call may end before the answer is there.
    context.signal.addEventListener("abort", () => reject(new Error("nobody waits for this any more")));
  });
  return context.store(text);
}

const file = new URL("../guests/prebuilt/fixtures.c.wasm", import.meta.url);
const options = { name: "lookup", limits: { timeoutMs: 250 }, hostFunctions: { "extism:host/user": { host_reflect: lookUp } } };
await using first = await loadPlugin(file, options);
await using second = await loadPlugin(file, options);

// Both wait at the same time, on the same thread.
const calls = [first.call("host_reflect", "Ada"), second.call("host_reflect", "Grace")];
await new Promise(setImmediate);
console.log("asked at once: ", questions.map(({ name }) => name).join(", "));
for (const { name, answer } of questions.toReversed()) answer(`${name} was a mathematician`);
for (const output of await Promise.all(calls)) console.log("answer:        ", output.text());

// The deadline counts while a plugin waits, too.
for (const attempt of [() => first.call("host_reflect", "nobody"), () => first.callSync("host_reflect", "Ada")]) {
  try {
    await attempt();
  } catch (error) {
    if (!isMortiseError(error)) throw error;
    console.log(`${error.code}: ${error.message}`);
  }
}
