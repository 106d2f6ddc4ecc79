// Where the code of a child is: beside this file, as source when it runs from source and compiled when it is compiled.

import { fileURLToPath } from "node:url";

import type { PlaceKind } from "./place.ts";

const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";

/** The module that a thread or process starts with. */
export function childEntry(kind: PlaceKind): URL {
  return new URL(`./${kind}-main${EXTENSION}`, import.meta.url);
}

/** What a child process has to read to run: the folder of the package's code, and what says that it holds modules. */
export function childFiles(): string[] {
  return [fileURLToPath(new URL("../", import.meta.url)), fileURLToPath(new URL("../../package.json", import.meta.url))];
}
