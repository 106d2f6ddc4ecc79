// Runs one attack and says what happened.

import { isMortiseError, loadPlugin, type MortiseError, type Plugin } from "../../src/index.ts";
import { type Attack, ATTACK_LIMITS } from "./attacks.ts";
import { MODULES } from "./modules.ts";

/** What happened at one step. */
export interface Outcome {
  readonly ms: number;
  readonly error?: MortiseError;
  readonly output?: Uint8Array;
}

/** What happened at load, and if that succeeded, at the call. */
export interface Observation {
  readonly plugin?: Plugin;
  readonly load: Outcome;
  readonly call?: Outcome;
}

/** Times a step; anything thrown that is not a MortiseError passes on, since it would be a failure of the host. */
export function observe(work: () => Uint8Array): Outcome {
  const began = performance.now();
  try {
    const output = work();
    return { ms: performance.now() - began, output };
  } catch (error) {
    if (!isMortiseError(error)) throw error;
    return { ms: performance.now() - began, error };
  }
}

/** The bytes of an attack's guest. */
export function moduleOf(attack: Attack): Promise<Uint8Array<ArrayBuffer>> {
  const found = MODULES.get(attack.file);
  if (found === undefined) throw new Error(`No module "${attack.file}"`);
  return found.bytes();
}

export async function loadAttack(attack: Attack): Promise<{ plugin?: Plugin; load: Outcome }> {
  const bytes = await moduleOf(attack);
  const began = performance.now();
  try {
    const plugin = await loadPlugin(bytes, { limits: ATTACK_LIMITS, ...attack.options, name: attack.name });
    return { plugin, load: { ms: performance.now() - began } };
  } catch (error) {
    if (!isMortiseError(error)) throw error;
    return { load: { ms: performance.now() - began, error } };
  }
}

/** Loads the guest and calls its attack once, after what warm-up it asks for. */
export async function runAttack(attack: Attack): Promise<Observation> {
  const { plugin, load } = await loadAttack(attack);
  if (plugin === undefined) return { load };
  for (let call = 0; call < (attack.warmUp ?? 0); call++) plugin.callSync("attack", attack.input);
  const call = observe(() => plugin.callSync("attack", attack.input).bytes());
  return { plugin, load, call };
}
