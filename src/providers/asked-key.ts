// A key that a function of the application gives, awaited for no longer than the request that it is for may take.

import { MortiseError, isMortiseError } from "../api/errors.ts";
import type { ProviderOptions } from "./options.ts";
import { providerError } from "./provider-errors.ts";

/** Longest time that a timer takes; more would fire at once. */
const MAX_TIMER_MS = 0x7fff_ffff;

/** The request that the key is for. */
export interface KeyWait {
  readonly plugin: string;
  /** What the application called, for messages. */
  readonly function: string;
  readonly timeoutMs: number;
  /** Each ends the wait; a MortiseError as the reason becomes its error. */
  readonly signals: readonly AbortSignal[];
}

/** @throws MortiseError MORTISE_TIMEOUT, MORTISE_ABORTED; MORTISE_PROVIDER_ERROR if the function throws */
export async function askedKey(
  give: Extract<ProviderOptions["apiKey"], () => unknown>,
  { signals, timeoutMs, ...who }: KeyWait,
): Promise<string | undefined> {
  const gaveNone = (error: unknown): MortiseError =>
    providerError({ plugin: who.plugin, function: "apiKey" }, { type: "auth_error", message: "the option apiKey gave no key" }, error);
  let given: ReturnType<typeof give>;
  try {
    given = give();
  } catch (error) {
    throw gaveNone(error);
  }
  if (typeof given !== "object") return given;
  const key = Promise.resolve(given).catch((error: unknown) => {
    throw gaveNone(error);
  });
  const ended = Promise.withResolvers<never>();
  const stop = (): void => {
    const reason: unknown = signals.find(({ aborted }) => aborted)?.reason;
    ended.reject(isMortiseError(reason) ? reason : new MortiseError("MORTISE_ABORTED", { plugin: who.plugin, function: who.function }, reason));
  };
  const late = (): void => ended.reject(new MortiseError("MORTISE_TIMEOUT", { plugin: who.plugin, function: who.function, limit: timeoutMs }));
  const timer = setTimeout(late, Math.min(timeoutMs, MAX_TIMER_MS));
  for (const signal of signals) signal.addEventListener("abort", stop);
  if (signals.some(({ aborted }) => aborted)) stop();
  try {
    return await Promise.race([ended.promise, key]);
  } finally {
    clearTimeout(timer);
    for (const signal of signals) signal.removeEventListener("abort", stop);
  }
}
