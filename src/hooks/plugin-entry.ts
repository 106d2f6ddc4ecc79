// A plugin as hooks see it, and what an operator says of it.

import type { Permissions } from "../api/permissions.ts";
import type { RequestContext } from "../api/request.ts";
import type { FailurePolicy } from "./definition.ts";
import type { Filter } from "./filters.ts";

/** What a plugin gives back. */
export interface HookOutput {
  bytes(): Uint8Array;
}

/** How a hook calls a plugin. */
export interface HookCallOptions {
  readonly context: RequestContext;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  /** Milliseconds that it may besides wait for an instance. */
  readonly waitMs?: number;
  /** Name of the hook, as it is published; here only if somebody subscribes. */
  readonly hook?: string;
}

/** A plugin of any interface; {@link Plugin} fits. */
export interface HookPlugin {
  readonly name: string;
  /** Version and SHA-256 of the module, as they are published. @default "1", and "" */
  readonly version?: string;
  readonly digest?: string;
  /** Hides the plugin's secrets in a text that is published. @default it has none */
  redact?(text: string): string;
  /** Milliseconds that its calls may take, if it says so. */
  readonly timeoutMs?: number;
  has(fn: string): boolean;
  /**
   * Calls a function with text as UTF-8, or with bytes that it must not change: gives the output itself where nothing had to be waited for, and throws what went wrong at once.
   *
   * @param short others have left it so much less than its time that being late says nothing of it
   */
  start(fn: string, input: string | Uint8Array, options: HookCallOptions, short: boolean): HookOutput | Promise<HookOutput>;
}

/** A call that has less of its plugin's time than this is short; what is lost on the way to it is not. */
const FAIR_PART = 0.9;

/** True for a call that others have left so little of the time that it may take. */
export function isShort(leftMs: number, ownMs: number): boolean {
  return leftMs < ownMs * FAIR_PART;
}

/** What an operator says of one plugin. */
export interface PluginEntry {
  readonly plugin: HookPlugin;
  /** Plugins with lower numbers come first; of the same number, by name. @default 0 */
  readonly order?: number;
  /** Takes the place of the hooks' own policies, for all hooks or by hook. @default the hook's */
  readonly onFailure?: FailurePolicy | Readonly<Record<string, FailurePolicy>>;
  /** Filters by hook. @default none */
  readonly filters?: Readonly<Record<string, Filter>>;
  /** Filters that the plugin states itself, by hook or by its own function: they must hold as well. Others than those of the host's hooks are left alone. @default none */
  readonly ownFilters?: Readonly<Record<string, unknown>>;
  /** Attributes that the plugin may see and change. @default none */
  readonly attributes?: Permissions["attributes"];
  /** Milliseconds that the plugin's calls may take, if it does not say so itself. */
  readonly timeoutMs?: number;
}
