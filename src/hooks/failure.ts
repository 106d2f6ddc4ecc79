// What becomes of a plugin that fails in a hook: never nothing.

import { channel } from "node:diagnostics_channel";

import { CHANNELS } from "../api/channels.ts";
import { MortiseError, isMortiseError, printable } from "../api/errors.ts";
import type { FailurePolicy } from "./definition.ts";

/** Name of the channel of `node:diagnostics_channel` on which every failure is published. */
export const HOOK_CHANNEL: typeof CHANNELS.failure = CHANNELS.failure;

/** What is published of a failure, on {@link HOOK_CHANNEL}. */
export interface HookFailure {
  readonly hook: string;
  readonly plugin: string;
  /** The plugin's function. */
  readonly function: string;
  /** Name of the request. */
  readonly request: string;
  /** `closed`: the hook failed. `open`: it went on without the plugin. */
  readonly policy: FailurePolicy;
  readonly error: MortiseError;
}

const failures = channel(HOOK_CHANNEL);

/** Tells whoever listens. */
export function publish(failure: HookFailure): void {
  if (failures.hasSubscribers) failures.publish(failure);
}

/** What a hook throws for a plugin that failed while its policy is closed. */
export function hookFailed({ hook, plugin, function: fn, error }: HookFailure): MortiseError {
  return new MortiseError("MORTISE_HOOK_FAILED", { hook, plugin, function: fn, code: error.code, reason: error.message }, error);
}

/** Anything that a plugin threw, as a coded error. */
export function coded(error: unknown): MortiseError {
  if (isMortiseError(error)) return error;
  return new MortiseError("MORTISE_INTERNAL", { reason: printable(error instanceof Error ? error.message : error) }, error);
}
