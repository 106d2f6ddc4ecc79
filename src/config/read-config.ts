// Reads a configuration: a file with those that it includes, or a text.

import { realpath } from "node:fs/promises";
import { dirname, isAbsolute, join, resolve } from "node:path";

import { MortiseError, isMortiseError, printable } from "../api/errors.ts";
import { positionAt, quoted } from "../manifest/place.ts";
import { buildConfig } from "./build-config.ts";
import { type ConfigDocument, MAX_TEXT_BYTES, formatOf, parseText } from "./config-text.ts";
import type { Config, ConfigFile } from "./config.ts";
import { type ConfigProblem, configError, problem, problemAt } from "./problems.ts";
import { readBoundedFile } from "./read-file.ts";

/** Files that include each other, one below the other, and files of one configuration. */
const MAX_INCLUDE_DEPTH = 8;
const MAX_FILES = 64;

/** Options of {@link parseConfig}. */
export interface ParseConfigOptions {
  /** The text in messages. @default "the configuration" */
  readonly source?: string;
  /** @default "toml" */
  readonly format?: "toml" | "json";
  /** Folder that relative paths start from. @default the working directory */
  readonly folder?: string;
}

/**
 * Reads the text of a configuration. It cannot include files.
 *
 * @throws MortiseError MORTISE_CONFIG_INVALID with every problem of it, 20 at most
 */
export async function parseConfig(text: string, options: ParseConfigOptions = {}): Promise<Config> {
  const { source, format = "toml", folder = process.cwd() } = options;
  const document = await parseText(text, format, source === undefined ? "the configuration" : quoted(source));
  const found = includesOf(document).length === 0 ? [] : [problemAt(document.origin, { place: ["include"], reason: "can stand in a file only" })];
  return buildConfig([{ ...document, path: undefined, folder }], found);
}

/**
 * Reads a configuration from a file, in TOML or, if it is called `.json`, in JSON, with all files that it includes.
 *
 * @throws MortiseError MORTISE_SOURCE_NOT_FOUND or MORTISE_SOURCE_UNREADABLE; MORTISE_CONFIG_INVALID with every problem of
 *   every file, 20 at most
 */
export async function readConfig(path: string): Promise<Config> {
  const reader = new FileReader();
  await reader.main(path);
  return buildConfig(reader.files, reader.problems);
}

/** Reads files, each once. */
class FileReader {
  readonly files: ConfigFile[] = [];
  readonly problems: ConfigProblem[] = [];
  /** Files by their path without links, each as messages call it. */
  readonly #read = new Map<string, string>();

  async main(path: string): Promise<void> {
    const content = await readBoundedFile(path, MAX_TEXT_BYTES);
    const source = `"${printable(path)}"`;
    if ("fault" in content) {
      if (content.missing) throw new MortiseError("MORTISE_SOURCE_NOT_FOUND", { source });
      throw new MortiseError("MORTISE_SOURCE_UNREADABLE", { source, reason: `it ${content.fault}` });
    }
    await this.#take(path, content.bytes, []);
  }

  /** @param above paths without links of the files that include this one */
  async #take(path: string, bytes: Uint8Array, above: readonly string[]): Promise<void> {
    const real = await realpath(path);
    const source = `"${printable(path)}"`;
    this.#read.set(real, source);
    const format = formatOf(path);
    if (format === "yaml") throw configError([problem(source, "it is YAML, but a configuration is written in TOML or JSON")]);
    const document = await parseText(decode(bytes, source), format, source);
    const file: ConfigFile = { ...document, path: resolve(path), folder: dirname(resolve(path)) };
    this.files.push(file);
    for (const [index, name] of includesOf(document).entries()) await this.#include(file, path, name, index, [...above, real]);
  }

  async #include(file: ConfigFile, shown: string, name: string, index: number, above: readonly string[]): Promise<void> {
    const fail = (reason: string): void => {
      this.problems.push(problemAt(file.origin, { place: ["include", index], reason }));
    };
    const path = isAbsolute(name) ? name : join(dirname(shown), name);
    const content = await readBoundedFile(path, MAX_TEXT_BYTES);
    if ("fault" in content) return fail(`is ${quoted(name)}, which ${content.fault}`);
    const real = await realpath(path);
    if (above.includes(real)) {
      const circle = [...above.slice(above.indexOf(real)), real].map((each) => this.#read.get(each) ?? "");
      return fail(`closes a circle: ${circle.join(" → ")}`);
    }
    if (this.#read.has(real)) return fail(`is ${quoted(name)}, which is included already`);
    if (above.length > MAX_INCLUDE_DEPTH) return fail(`is ${quoted(name)}, more than ${MAX_INCLUDE_DEPTH} files below the main one`);
    if (this.files.length >= MAX_FILES) return fail(`is ${quoted(name)}, but a configuration may have ${MAX_FILES} files`);
    try {
      await this.#take(path, content.bytes, above);
    } catch (error) {
      if (!isMortiseError(error) || error.code !== "MORTISE_CONFIG_INVALID") throw error;
      this.problems.push(...(error.details["problems"] as readonly ConfigProblem[]));
    }
  }
}

/** Files that a document includes; what is none is reported by whoever checks it. */
function includesOf({ value }: ConfigDocument): readonly string[] {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, "include")) return [];
  const { include } = value as { readonly include: unknown };
  const names: readonly unknown[] = Array.isArray(include) ? include : [];
  return names.every((name) => typeof name === "string" && name !== "" && !name.includes("\0")) ? (names as readonly string[]) : [];
}

function decode(bytes: Uint8Array, source: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const text = new TextDecoder().decode(bytes);
    throw configError([problem(source, "it is not valid UTF-8", positionAt(text, Math.max(text.indexOf("\ufffd"), 0)))]);
  }
}
