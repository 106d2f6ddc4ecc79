// Loads a plugin, calls it, and reads its output as text, as JSON and as bytes.

import { loadPlugin } from "mortise";

await using plugin = await loadPlugin(new URL("../guests/prebuilt/vowels.ts.wasm", import.meta.url), {
  config: { vowels: "aeiouAEIOU" },
});
console.log("exports:", plugin.exports.join(", "));

const output = await plugin.call("count_vowels", "Hello, World!");
console.log("text:   ", output.text());
console.log("json:   ", output.json());
console.log("bytes:  ", output.length);

// Without a promise. The plugin adds up its calls in a variable that Mortise keeps for it.
console.log("again:  ", plugin.callSync("count_vowels", "Hello, World!").text());
