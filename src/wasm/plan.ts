// Decides, once all bodies are scanned, which segments carry a check and what each check charges.
//
// A function without a check at its entry costs its callers what it may execute before its own first check. That is
// only sound if such functions cannot call each other in a circle: the search below finds every edge that closes a
// circle and gives the calling segment a check of its own. So the recursive calls of a function are checked where
// they are made, and its leaves, half of all invocations of a binary recursion, run without a check.

import type { ScanResult } from "./scan.ts";
import { MERGE_COST, UNCHECKED_COST } from "./cost.ts";
import type { ParsedModule } from "./module-reader.ts";

/** Units that each segment's check charges, 0 for a segment without a check; and which bodies contain a check. */
export interface Plan {
  readonly charge: Int32Array;
  readonly checked: Uint8Array;
  /** What a caller pays for each defined function, 0 for one that pays for itself. */
  readonly entryCost: Int32Array;
}

// Why a segment is not paid for by its owner: it closes a circle of calls, or it calls what costs too much to pay ahead.
const CUT_CIRCLE = 1;
const CUT_COST = 2;

const NEW = 0;
const OPEN = 1;
const DONE = 2;

/** Plans the checks of a scanned module. */
export function planChecks(module: ParsedModule, scan: ScanResult): Plan {
  const { functionSegments, functionCalls, segmentCost, segmentOwner, callSegment, callCallee } = scan;
  const imported = module.importedFunctions;
  const count = functionSegments.length - 1;
  const segments = segmentCost.length;
  const cut = new Uint8Array(segments);
  const ownEntryCost = new Int32Array(count);
  const entryCost = new Int32Array(count);
  const entryChecked = new Uint8Array(count);

  // What each function executes before its first check, callees not included.
  for (let fn = 0; fn < count; fn++) {
    const entry = functionSegments[fn] as number;
    let cost = segmentCost.get(entry);
    for (let segment = entry + 1; segment < (functionSegments[fn + 1] as number); segment++) {
      if (segmentOwner.get(segment) === entry) cost += segmentCost.get(segment);
    }
    ownEntryCost[fn] = cost;
    // A function with a loop counts in a local variable and settles when it is left: its entry joins in for nothing.
    if (cost > UNCHECKED_COST || module.reachable[imported + fn] === 1 || scan.hasLoop[fn] === 1) entryChecked[fn] = 1;
  }

  const state = new Uint8Array(count);
  const nextCall = new Int32Array(count);
  const path: number[] = [];
  for (let root = 0; root < count; root++) {
    if (state[root] !== NEW || entryChecked[root] === 1) continue;
    open(root);
    while (path.length > 0) visit(path.at(-1) ?? root);
  }

  function open(fn: number): void {
    path.push(fn);
    state[fn] = OPEN;
    nextCall[fn] = functionCalls[fn] as number;
  }

  /** Goes on with the calls of `fn`: down into one that is new, or back when all are done. */
  function visit(fn: number): void {
    const entry = functionSegments[fn] as number;
    while ((nextCall[fn] as number) < (functionCalls[fn + 1] as number)) {
      const call = nextCall[fn] as number;
      nextCall[fn] = call + 1;
      const segment = callSegment.get(call);
      if (segment !== entry && segmentOwner.get(segment) !== entry) continue; // behind a check already
      const callee = callCallee.get(call) - imported;
      if (entryChecked[callee] === 1) continue;
      if (state[callee] === OPEN) {
        if (segment === entry) entryChecked[fn] = 1;
        else cut[segment] = CUT_CIRCLE;
      } else if (state[callee] === NEW) {
        open(callee);
        return;
      }
    }
    path.pop();
    state[fn] = DONE;
    cutExpensiveCalls(fn);
    if (entryChecked[fn] === 1) return;
    const total = totalEntryCost(fn);
    if (total > UNCHECKED_COST) entryChecked[fn] = 1;
    else entryCost[fn] = total;
  }

  /** An owner that pays for calls which may not happen pays too much: what passes a bound gets a check of its own. */
  function cutExpensiveCalls(fn: number): void {
    let owner = -1;
    let paid = 0;
    for (let call = functionCalls[fn] as number; call < (functionCalls[fn + 1] as number); call++) {
      const segment = callSegment.get(call);
      const other = segmentOwner.get(segment);
      if (other < 0 || cut[segment] !== 0) continue;
      if (other !== owner) paid = 0;
      owner = other;
      paid += entryCost[callCallee.get(call) - imported] as number;
      if (paid <= MERGE_COST) continue;
      cut[segment] = CUT_COST;
      paid = 0;
    }
  }

  /** Cost of everything in `fn` that its callers pay for; callees are done by now. */
  function totalEntryCost(fn: number): number {
    const entry = functionSegments[fn] as number;
    let total = ownEntryCost[fn] as number;
    for (let segment = entry + 1; segment < (functionSegments[fn + 1] as number); segment++) {
      if (cut[segment] !== 0 && segmentOwner.get(segment) === entry) total -= segmentCost.get(segment);
    }
    for (let call = functionCalls[fn] as number; call < (functionCalls[fn + 1] as number); call++) {
      const segment = callSegment.get(call);
      const paidByCaller = segment === entry || (segmentOwner.get(segment) === entry && cut[segment] === 0);
      if (paidByCaller) total += entryCost[callCallee.get(call) - imported] as number;
    }
    return total;
  }

  const charge = new Int32Array(segments);
  const checked = new Uint8Array(count);
  for (let fn = 0; fn < count; fn++) {
    // Functions with a check at their entry were never visited.
    if (state[fn] !== DONE) cutExpensiveCalls(fn);
    const entry = functionSegments[fn] as number;
    const end = functionSegments[fn + 1] as number;
    const keepsEntry = entryChecked[fn] === 1;
    /** The segment that pays for `segment`, or -1 if callers do. */
    const payer = (segment: number): number => {
      if (segment === entry) return keepsEntry ? entry : -1;
      const owner = segmentOwner.get(segment);
      if (owner < 0 || cut[segment] === CUT_COST || (cut[segment] === CUT_CIRCLE && !keepsEntry)) return segment;
      return owner === entry && !keepsEntry ? -1 : owner;
    };
    for (let segment = entry; segment < end; segment++) {
      const who = payer(segment);
      if (who < 0) continue;
      (charge[who] as number) += segmentCost.get(segment);
      checked[fn] = 1;
    }
    for (let call = functionCalls[fn] as number; call < (functionCalls[fn + 1] as number); call++) {
      const who = payer(callSegment.get(call));
      if (who >= 0) (charge[who] as number) += entryCost[callCallee.get(call) - imported] as number;
    }
  }
  return { charge, checked, entryCost };
}
