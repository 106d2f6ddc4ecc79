// The hooks of a gateway: Bifrost's, and two for observers.

import { type Host, type LlmResult, hook, standardHooks } from "mortise";

import type { Completed, Used } from "./completed.ts";
import type { ResolvedLimits } from "./options.ts";

type LlmSpelling = NonNullable<NonNullable<Parameters<typeof standardHooks.llm>[0]>["spelling"]>;

/** How plugins see requests. */
export interface GatewayHookOptions {
  /** Spellings of requests and responses that plugins are sent: one saves bytes, if all plugins know it. @default "all" */
  readonly spelling?: LlmSpelling;
  /** Milliseconds for all plugins of one hook, before and after each. @default unlimited: the plugins' own limits hold */
  readonly timeoutMs?: number;
}

/** Makes them. */
// oxlint-disable-next-line typescript/explicit-module-boundary-types -- the types of hooks follow from their definitions
export function gatewayHooks({ spelling = "all", timeoutMs = Number.POSITIVE_INFINITY }: GatewayHookOptions = {}, { bodyBytes }: ResolvedLimits) {
  // A plugin gives a changed request back in as many spellings as it was sent, and bodies in base64.
  const maxOutputBytes = 4 * bodyBytes + (1 << 20);
  return {
    http: standardHooks.http({ timeoutMs, maxOutputBytes }),
    llm: { ...standardHooks.llm({ timeoutMs, spelling, maxOutputBytes }), checks: { answer: checkResult } },
    httpStreamChunk: standardHooks.httpStreamChunk({ timeoutMs }),
    completed: hook.all<Completed>({ timeoutMs, name: "on_completion" }),
    used: hook.all<Used>({ timeoutMs, name: "on_usage" }),
  } as const;
}

/** The hooks, by name. */
export type GatewayHooks = ReturnType<typeof gatewayHooks>;
/** The host of a gateway: load plugins into `host.plugins`. */
export type GatewayHost = Host<GatewayHooks>;

/** Refuses responses that are none of OpenAI's: neither a completion, a piece of one, nor vectors. */
function checkResult(value: unknown): LlmResult {
  const result = value as LlmResult;
  if (result.response === undefined) return result;
  const { choices, data } = result.response;
  if (!Array.isArray(choices ?? data)) throw new TypeError("has a response without choices");
  return result;
}
