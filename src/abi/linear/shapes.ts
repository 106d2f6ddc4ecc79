// How the functions of a plugin with an exported memory are called, by their types.

import type { TypeDefinition } from "../../wasm/module-reader.ts";
import type { Dialect } from "./dialect.ts";

/** How one exported function is called. */
export interface Shape {
  /** Buffers that it takes, each as address and length. */
  readonly buffers: number;
  /** `packed`: address and length of its output in one i64; `status`: an i32 that is 0 if all went well. */
  readonly result: "packed" | "status" | "none";
}

const I32 = 0x7f;
const I64 = 0x7e;
/** Exports that toolchains add. */
const RUNTIME = new Set(["_start", "_initialize", "__wasm_call_ctors", "__new", "__pin", "__unpin", "__collect", "hs_init"]);

/** The shape of a function that can be called by name; undefined for any other. */
export function shapeOf(dialect: Dialect, name: string, type: Extract<TypeDefinition, { kind: "function" }> | undefined): Shape | undefined {
  if (type === undefined || dialect.internal.has(name) || RUNTIME.has(name)) return undefined;
  const { params, results } = type;
  const fits = params.every(({ code }) => code === I32) && params.length % 2 === 0;
  if (!fits || (params.length > 2 && dialect.parts[params.length] === undefined) || results.length > 1) return undefined;
  const code = results[0]?.code;
  if (code !== undefined && code !== I32 && code !== I64) return undefined;
  return { buffers: params.length / 2, result: code === I64 ? "packed" : code === I32 ? "status" : "none" };
}
