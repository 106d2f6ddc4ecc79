// The user's functions as the core takes them: with the SDK's call context, and results converted as WebAssembly does.

import type { HostFunction, HostFunctions, HostValue } from "../abi/guest.ts";
import { MortiseError } from "../api/errors.ts";
import { invalidOption } from "../api/limits.ts";
import { CallContext } from "./call-context.ts";
import { explain } from "./failures.ts";
import type { LogGate } from "./levels.ts";
import { type ImportedFunction, type ModuleFacts } from "./module-facts.ts";
import type { ExtismPluginOptions } from "./options.ts";

type UserFunction = (this: unknown, context: CallContext, ...values: HostValue[]) => unknown;

/**
 * Wraps the functions that the modules import.
 *
 * @throws TypeError with code MORTISE_INVALID_OPTION for what is no function
 */
export function adaptFunctions(functions: ExtismPluginOptions["functions"], modules: readonly ModuleFacts[], gate: LogGate): HostFunctions {
  const adapted: Record<string, Record<string, HostFunction>> = Object.create(null);
  for (const [module, members] of Object.entries(functions ?? {})) {
    const space: Record<string, HostFunction> = Object.create(null);
    for (const [name, work] of Object.entries(members)) {
      if (typeof work !== "function") throw explain(invalidOption(`functions.${module}.${name}`, typeof work, "a function"));
      const imported = modules.flatMap(({ functions: wanted }) => wanted).find((item) => item.module === module && item.name === name);
      if (imported !== undefined) space[name] = adaptFunction(work as UserFunction, members, imported, gate);
    }
    adapted[module] = space;
  }
  return adapted;
}

function adaptFunction(work: UserFunction, members: object, imported: ImportedFunction, gate: LogGate): HostFunction {
  return (context, ...values: HostValue[]) => {
    const finish = (result: unknown): HostValue | undefined => convert(result, imported, context.plugin);
    const result = work.call(members, new CallContext(context, gate), ...values);
    return isThenable(result) ? Promise.resolve(result).then(finish) : finish(result);
  };
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}

/** One element of each number type: storing converts as a call from WebAssembly does (ToWebAssemblyValue). */
const CELLS = { i32: new Int32Array(1), i64: new BigInt64Array(1), f32: new Float32Array(1), f64: new Float64Array(1) } as const;

/** A result as the import's type has it: undefined as an i32 is 0, and true as an i64 is 1. */
function convert(result: unknown, { module, name, result: type }: ImportedFunction, plugin: string): HostValue | undefined {
  if (type === undefined) return undefined;
  // More than the package accepts there, as the core does.
  if (type === "i64" && typeof result === "number" && Number.isSafeInteger(result)) return BigInt(result);
  const cell: { [index: number]: HostValue } = CELLS[type];
  try {
    cell[0] = result as HostValue;
  } catch (error) {
    // The text is the package's own; which function of the plugin ran is added by the core.
    const details = { plugin, function: "", module, name, found: typeof result, wanted: type };
    throw explain(new MortiseError("MORTISE_HOST_RESULT", details, error), {
      kind: error instanceof SyntaxError ? SyntaxError : TypeError,
      text: (error as Error).message,
    });
  }
  return cell[0];
}
