// Texts that people see, kept as files. UPDATE_SAMPLES=1 writes them anew; read the difference before it is kept.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";

/** Asserts that a text is the one that is kept. */
export async function assertSample(name: string, actual: string): Promise<void> {
  const file = new URL(`samples/${name}`, import.meta.url);
  if (process.env["UPDATE_SAMPLES"] === "1") await writeFile(file, actual);
  assert.equal(actual, await readFile(file, "utf8"));
}
