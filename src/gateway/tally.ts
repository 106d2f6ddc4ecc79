// What the models' answers to one request took together: also those that its client never got.

import type { JsonObject } from "mortise";

import type { Tokens } from "./completed.ts";
import type { Whole } from "./given.ts";
import type { ClientApi } from "./types.ts";
import { charsOf, isCount, tokensOf, usageOf } from "./usage.ts";

/** Characters of JSON or of text that are taken for a token where nobody says how many there were. */
export const CHARS_PER_TOKEN = 4;

/** One answer. */
export interface Took {
  /** What it says itself, in the common form. */
  readonly usage: JsonObject | null | undefined;
  /** Characters that were said. They are counted only where the answer does not say what it took. */
  readonly chars: () => number;
  /** The model has come to an end: before that, it may say that it took next to nothing. */
  readonly hasStopped: boolean;
}

/** What a whole answer took. */
export function tookWhole(api: ClientApi, whole: Whole): Took {
  return { usage: usageOf(api, whole), chars: () => charsOf(api, whole), hasStopped: true };
}

/** Adds up answers. */
export class Tally {
  /** Bytes of the request. */
  bodyBytes = 0;
  #answers = 0;
  #prompt: number | undefined = 0;
  #completion: number | undefined = 0;
  #total = 0;
  #isEstimated = false;

  /** A model has answered, or a plugin in its place. */
  took(answer: Took): void {
    const { usage, hasStopped } = answer;
    this.#answers++;
    const { prompt_tokens: prompt, completion_tokens: completion } = usage ?? {};
    const total = tokensOf(usage);
    if (hasStopped && total !== undefined)
      return this.#add(isCount(prompt) ? prompt : undefined, isCount(completion) ? completion : undefined, total);
    this.#isEstimated = true;
    const asked = isCount(prompt) && prompt > 0 ? prompt : Math.ceil(this.bodyBytes / CHARS_PER_TOKEN);
    const said = Math.max(isCount(completion) ? completion : 0, Math.ceil(answer.chars() / CHARS_PER_TOKEN));
    this.#add(asked, said, Math.max(total ?? 0, asked + said));
  }

  #add(prompt: number | undefined, completion: number | undefined, total: number): void {
    this.#prompt = this.#prompt === undefined || prompt === undefined ? undefined : this.#prompt + prompt;
    this.#completion = this.#completion === undefined || completion === undefined ? undefined : this.#completion + completion;
    this.#total += total;
  }

  get answers(): number {
    return this.#answers;
  }

  /** Tokens of input and output together. */
  get total(): number {
    return this.#total;
  }

  /** At least one answer did not say what it took. */
  get isEstimated(): boolean {
    return this.#isEstimated;
  }

  /** As observers are told it; undefined where nothing was answered. */
  get tokens(): Tokens | undefined {
    if (this.#answers === 0) return undefined;
    return {
      ...(this.#prompt !== undefined && { prompt_tokens: this.#prompt }),
      ...(this.#completion !== undefined && { completion_tokens: this.#completion }),
      total_tokens: this.#total,
      ...(this.#isEstimated && { estimated: true }),
    };
  }
}
