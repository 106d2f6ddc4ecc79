// Which functions can come to call certain imports: what cannot is called without the engine's promise integration.

import type { ParsedModule } from "./module-reader.ts";
import type { ScanResult } from "./scan.ts";

/**
 * 1 for each function, by index, from which one of `imports` can be reached. Calls through tables and references are
 * taken to reach every function that one could lead to.
 */
export function functionsReaching(module: ParsedModule, scan: ScanResult, imports: ReadonlySet<number>): Uint8Array {
  const { importedFunctions, functionTypes, reachable } = module;
  const reaching = new Uint8Array(functionTypes.length);
  const open: number[] = [];
  const mark = (index: number): void => {
    if (reaching[index] === 1) return;
    reaching[index] = 1;
    open.push(index);
  };
  const callers = callersOf(module, scan);
  let indirectMarked = false;
  for (const index of imports) mark(index);
  for (let index = open.pop(); index !== undefined; index = open.pop()) {
    for (let at = callers.first[index] as number; at < (callers.first[index + 1] as number); at++) mark(callers.list[at] as number);
    if (indirectMarked || reachable[index] !== 1) continue;
    indirectMarked = true;
    for (const [body, flag] of scan.callsIndirectly.entries()) if (flag === 1) mark(importedFunctions + body);
  }
  return reaching;
}

/** The callers of each function, as ranges of one list. */
function callersOf(module: ParsedModule, scan: ScanResult): { readonly first: Int32Array; readonly list: Int32Array } {
  const { importedFunctions, functionTypes } = module;
  const { functionCalls, callCallee, importCallBody, importCallCallee } = scan;
  const first = new Int32Array(functionTypes.length + 2);
  const list = new Int32Array(callCallee.length + importCallCallee.length);
  const each = (visit: (caller: number, callee: number) => void): void => {
    for (let body = 0; body < functionCalls.length - 1; body++) {
      const end = functionCalls[body + 1] as number;
      for (let call = functionCalls[body] as number; call < end; call++) visit(importedFunctions + body, callCallee.get(call));
    }
    for (let call = 0; call < importCallCallee.length; call++) visit(importedFunctions + importCallBody.get(call), importCallCallee.get(call));
  };
  // Counted two places ahead, so that filling leaves each function's start one place ahead: where it belongs.
  each((_caller, callee) => (first[callee + 2] as number)++);
  for (let index = 2; index < first.length; index++) (first[index] as number) += first[index - 1] as number;
  each((caller, callee) => {
    const at = first[callee + 1] as number;
    list[at] = caller;
    first[callee + 1] = at + 1;
  });
  return { first, list };
}
