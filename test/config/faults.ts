// What a configuration that is refused says.

import assert from "node:assert/strict";

import { type MortiseError, isMortiseError } from "../../src/api/errors.ts";
import type { ConfigProblem } from "../../src/config/problems.ts";
import { type ParseConfigOptions, parseConfig } from "../../src/config/read-config.ts";

/** The error that work ends with. */
export async function errorOf(work: Promise<unknown>): Promise<MortiseError> {
  try {
    await work;
  } catch (error) {
    assert.ok(isMortiseError(error), String(error));
    return error;
  }
  return assert.fail("it was accepted");
}

/** The problems of a text, each as `line:column reason`. */
export async function problemsOf(text: string, options: ParseConfigOptions = {}): Promise<string[]> {
  const { code, details } = await errorOf(parseConfig(text, options));
  assert.equal(code, "MORTISE_CONFIG_INVALID");
  return (details["problems"] as readonly ConfigProblem[]).map(shown);
}

/** `line:column reason`. */
export function shown({ line, column, reason }: ConfigProblem): string {
  return `${line === undefined ? "" : `${line}:${column} `}${reason}`;
}
