// What plugins of standard hooks are sent, and what becomes of what they answer.

import { isMortiseError } from "../../../src/api/errors.ts";
import { RequestContext } from "../../../src/api/request.ts";
import type { HookDefinition, HookKind } from "../../../src/hooks/definition.ts";
import { Message } from "../../../src/hooks/message.ts";
import type { Wire } from "../../../src/hooks/wire.ts";
import { createHost } from "../../../src/manager/create-host.ts";
import { guest } from "../guests.ts";

/** A request that all tests of standard hooks use. */
export function request(attributes: Readonly<Record<string, string>> = {}): RequestContext {
  return new RequestContext({ id: "r-1", attributes });
}

/** The message to a plugin that sees these attributes. */
export function sent<T, A>(wire: Wire<T, A>, value: T, attributes: Readonly<Record<string, string>> = {}): string {
  const shown = { request: request(), attributes: new Map(Object.entries(attributes)) };
  return new Message(value).text(wire, shown, "hook");
}

/** What comes of a `first` or `chain` hook with one plugin that answers so; the code of its error, if it fails. */
export async function decided<K extends "first" | "chain", I, O>(
  definition: HookDefinition<K, I, O>,
  input: I,
  output: unknown,
  context: RequestContext = request(),
): Promise<unknown> {
  // `reverse` and the like are of no matter with one plugin.
  const untyped = definition as HookDefinition<HookKind, unknown, unknown> as HookDefinition<"chain", unknown, unknown>;
  await using host = await createHost({ hooks: { hook: untyped } });
  await load(host, definition.names?.[0] ?? "", output);
  return outcome(host.hooks.hook.decide(input, { request: context }));
}

/** What comes of a bracket with one plugin that answers so before and after. */
export async function bracketed<I, O>(
  definition: HookDefinition<"bracket", I, O>,
  { input, pre = "", post = "", work }: { readonly input: I; readonly pre?: unknown; readonly post?: unknown; readonly work: (input: I) => O },
  context: RequestContext = request(),
): Promise<unknown> {
  await using host = await createHost({ hooks: { hook: definition } });
  await host.plugins.load(await guest({ [definition.names?.[0] ?? ""]: text(pre), [definition.postNames?.[0] ?? ""]: text(post) }), OPTIONS);
  return outcome(host.hooks.hook(input, work, { request: context }));
}

const OPTIONS = { name: "p", permissions: { attributes: { read: ["*"], write: ["*"] } } };

async function load(
  host: { readonly plugins: { load(bytes: Uint8Array<ArrayBuffer>, options: object): Promise<unknown> } },
  fn: string,
  output: unknown,
): Promise<void> {
  await host.plugins.load(await guest({ [fn]: text(output) }), OPTIONS);
}

function text(output: unknown): string {
  return typeof output === "string" ? output : JSON.stringify(output);
}

async function outcome(work: Promise<unknown>): Promise<unknown> {
  try {
    return await work;
  } catch (error) {
    if (!isMortiseError(error)) throw error;
    return error.code === "MORTISE_HOOK_FAILED" ? error.details["code"] : error.code;
  }
}
