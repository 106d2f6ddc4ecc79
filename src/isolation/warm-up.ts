// Loads and calls a plugin of a few instructions, so that the engine has compiled the loader before a real one comes.

import { DEFAULT_LIMITS } from "../api/limits.ts";
import type { ChildCalls } from "./child-calls.ts";
import { ChildGuest } from "./child-guest.ts";
import type { LoadOrder } from "./protocol.ts";
import { toWire } from "./wire-values.ts";

/**
 * ```wat
 * (module
 *   (import "extism:host/env" "input_offset" (func (result i64)))
 *   (import "extism:host/env" "output_set" (func (param i64 i64)))
 *   (memory 1)
 *   (func (export "run") (local i32)
 *     (loop
 *       (i32.store (local.get 0) (i32.const 4))
 *       (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 3))))
 *     (call 1 (call 0) (i64.const 1))))
 * ```
 */
const MODULE =
  "AGFzbQEAAAABDQNgAAF+YAJ+fgBgAAACPQIPZXh0aXNtOmhvc3QvZW52DGlucHV0X29mZnNldAAAD2V4dGlzbTpob3N0L2VudgpvdXRwdXRfc2V0AAEDAgECBQMB" +
  "AAEHBwEDcnVuAAIKIgEgAQF/A0AgAEEENgIAIABBAWoiAEEDSQ0ACxAAQgEQAQs=";

/** Warms up; what goes wrong here would go wrong again, where somebody hears of it. */
export async function warmUp(calls: ChildCalls): Promise<void> {
  const order: LoadOrder = {
    type: "load",
    id: 0,
    abi: "extism",
    configJson: "{}",
    name: "warm-up",
    modules: ["main"],
    limits: Object.fromEntries(Object.entries(DEFAULT_LIMITS).map(([name, value]) => [name, toWire(value as number)])),
    config: [],
    functions: [],
    gc: false,
    wasi: { stdout: false, stderr: false },
    paths: {},
    allowances: [],
  };
  try {
    const guest = await ChildGuest.load(order, [Uint8Array.from(Buffer.from(MODULE, "base64"))], calls, undefined);
    guest.create(1000);
    await guest.call({ type: "call", id: 0, entry: "run", timeoutMs: 1000, statedMs: 1000 }, "x");
    guest.drop();
  } catch {
    // See above.
  }
}
