// Says what a module is and whether it would be refused, without compiling or running any of it.

import { readFile } from "node:fs/promises";

import { inspect } from "mortise/wasm";

const bytes = await readFile(new URL("../guests/prebuilt/readability.go.wasm", import.meta.url));
const module = inspect(bytes);

console.log(`interface: ${module.interface.name}, because ${module.interface.because}`);
for (const [name, items] of Map.groupBy(module.imports, (item) => item.module ?? "")) console.log(`imports:   ${items.length} from ${name}`);
for (const { name, kind, type } of module.exports) console.log(`exports:   ${kind} ${name}: ${type}`);
console.log(`features:  ${module.features.join(", ")}`);
console.log(`refused:   ${module.refusals.length === 0 ? "no" : module.refusals.map(({ code }) => code).join(", ")}`);

// A module with one shared memory, in the binary format: it could block the thread, so loading it would be refused.
const shared = Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 5, 4, 1, 3, 1, 2);
for (const { code, message } of inspect(shared, { source: "the second module" }).refusals) console.log(`${code}: ${message}`);
