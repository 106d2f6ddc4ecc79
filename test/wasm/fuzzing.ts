// The fuzzing loop: the rewriter and the engine must agree on which modules are valid, and on what valid ones do.
import { isDeepStrictEqual } from "node:util";
import { ERRORS, isMortiseError, type MortiseError } from "../../src/api/errors.ts";
import { instrument, type InstrumentedModule } from "../../src/wasm/index.ts";
import { type Call, execute, type Host, type Run, type Surface, surfaceOf } from "./execution.ts";
import { defaultSteps, generateModule, stubImports } from "./generator.ts";
import { everythingAllowed, executeMetered } from "./metered.ts";
import { mutate } from "./mutations.ts";
import { Random } from "./random.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface FuzzOptions {
  readonly cases: number;
  readonly seed: number;
  /** Valid modules to mutate besides generated ones. */
  readonly corpus?: readonly Bytes[];
  /** Called before each case; the number says how far the loop is. */
  readonly onCase?: (caseNumber: number, bytes: Bytes) => void;
  /** The loop ends early after this many failures. */
  readonly maxFailures?: number;
}

export interface FuzzFailure {
  readonly caseNumber: number;
  /** What should have held. */
  readonly claim: string;
  readonly detail: string;
  readonly bytes: Bytes;
}

export interface FuzzReport {
  cases: number;
  valid: number;
  invalid: number;
  /** Valid modules refused by policy, by code. */
  readonly refused: Map<string, number>;
  executed: number;
  /** Executions that fuel or a growth cap ended, which are not compared. */
  bounded: number;
  /** The case that took longest to instrument. */
  readonly slowest: { caseNumber: number; ms: number; size: number };
  readonly failures: FuzzFailure[];
}

/** Cases that share one base module: itself, one with a wrong index, and mutations of it. */
const casesPerBase = 16;
/** Executions are bounded by this much fuel. */
const executionFuel = 400_000;
/** Modules larger than this are left to the differential tests. */
const maxBaseBytes = 6000;

class Failed extends Error {
  readonly claim: string;

  constructor(claim: string, detail: string) {
    super(detail);
    this.claim = claim;
  }
}

/** Runs the cases of a seed. */
export function fuzz(options: FuzzOptions): FuzzReport {
  const report: FuzzReport = {
    cases: 0,
    valid: 0,
    invalid: 0,
    refused: new Map(),
    executed: 0,
    bounded: 0,
    slowest: { caseNumber: 0, ms: 0, size: 0 },
    failures: [],
  };
  const corpus = (options.corpus ?? []).filter((bytes) => bytes.length <= maxBaseBytes);
  let previous: Bytes = generateModule(options.seed).bytes;
  for (let base = 0; report.cases < options.cases; base++) {
    const random = new Random(Math.imul(options.seed, 0x9e3779b1) ^ base);
    const fromCorpus = corpus.length > 0 && random.oneIn(8);
    const seed = random.next();
    const generated = fromCorpus ? undefined : generateModule(seed, { steps: defaultSteps, heap: true });
    const original = generated?.bytes ?? random.pick(corpus);
    for (let at = 0; at < casesPerBase && report.cases < options.cases; at++) {
      const bytes = caseBytes(random, at, seed, original, previous, generated?.indexes ?? 0);
      options.onCase?.(report.cases, bytes);
      runCase(report, bytes, at === 0 ? (generated?.calls ?? []) : callsByGuess, at === 0 && generated !== undefined);
      report.cases++;
      if (report.failures.length >= (options.maxFailures ?? 1)) return report;
    }
    previous = original;
  }
  return report;
}

function caseBytes(random: Random, at: number, seed: number, original: Bytes, previous: Bytes, indexes: number): Bytes {
  if (at === 0) return original;
  if (at === 1 && indexes > 0) {
    const sabotage = { emission: 1 + random.below(indexes), by: random.pick([0, 0, 0, 1, 5, -1]) };
    return generateModule(seed, { steps: defaultSteps, heap: true, sabotage }).bytes;
  }
  return mutate(random, original, previous);
}

/** Calls for a module whose types are not known: numbers convert, and what does not fails alike on both sides. */
const callsByGuess: readonly Call[] = Array.from({ length: 8 }, (_, at) => ({ name: `f${at}`, args: [3, 4, 5, 6] }));

function runCase(report: FuzzReport, bytes: Bytes, calls: readonly Call[], mustBeValid: boolean): void {
  try {
    const isValid = WebAssembly.validate(bytes);
    if (mustBeValid && !isValid) throw new Failed("the generator makes valid modules", reasonOf(bytes));
    if (isValid) report.valid++;
    else report.invalid++;
    const instrumented = tryInstrument(report, bytes, isValid);
    if (instrumented === undefined || !isValid) return;
    if (calls !== callsByGuess || report.cases % 4 === 0) compareRuns(report, bytes, instrumented, calls);
  } catch (error) {
    const claim = error instanceof Failed ? error.claim : "a case runs without an unexpected error";
    const detail = error instanceof Failed ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error);
    report.failures.push({ caseNumber: report.cases, claim, detail, bytes });
  }
}

function reasonOf(bytes: Bytes): string {
  try {
    return `valid, with ${WebAssembly.Module.exports(new WebAssembly.Module(bytes)).length} exports`;
  } catch (error) {
    return String(error);
  }
}

/** Instruments a module and holds the outcome against the engine's opinion of it. */
function tryInstrument(report: FuzzReport, bytes: Bytes, isValid: boolean): InstrumentedModule | undefined {
  const before = performance.now();
  try {
    const instrumented = instrument(bytes, everythingAllowed);
    note(report, performance.now() - before, bytes.length);
    const isOutputValid = WebAssembly.validate(instrumented.bytes);
    if (isValid && !isOutputValid) throw new Failed("a valid module stays valid", reasonOf(instrumented.bytes));
    if (!isValid && isOutputValid) throw new Failed("an invalid module is refused or stays invalid", reasonOf(bytes));
    return isOutputValid ? instrumented : undefined;
  } catch (error) {
    if (error instanceof Failed) throw error;
    note(report, performance.now() - before, bytes.length);
    if (!isMortiseError(error)) {
      throw new Failed("instrument throws nothing but MortiseError", error instanceof Error ? (error.stack ?? "") : String(error));
    }
    if (!isValid) return undefined;
    if (engineIsLenient(error)) return undefined;
    if (!("policy" in ERRORS[error.code])) throw new Failed("a valid module is refused by policy only", `${error.code}: ${error.message}`);
    report.refused.set(error.code, (report.refused.get(error.code) ?? 0) + 1);
    return undefined;
  }
}

/**
 * Modules that V8 takes although the specification does not: an attribute of a tag in padded LEB128 (it is a byte),
 * and a catch clause for the label 2^32-1 (V8 adds one to it, and wraps).
 */
function engineIsLenient(error: MortiseError): boolean {
  return /a tag's attribute must be 0|label 4294967295 is out of range/.test(error.message);
}

function note(report: FuzzReport, ms: number, size: number): void {
  if (ms > report.slowest.ms) Object.assign(report.slowest, { caseNumber: report.cases, ms, size });
}

function stubHost(module: WebAssembly.Module): Host {
  return { imports: stubImports(module), state: () => ({}), bind: () => undefined };
}

/** Runs the rewritten module under a bound first: only what ends within it is safe to run as it was. */
function compareRuns(report: FuzzReport, bytes: Bytes, instrumented: InstrumentedModule, calls: readonly Call[]): void {
  const original = new WebAssembly.Module(bytes);
  const prepared = { instrumented, module: new WebAssembly.Module(instrumented.bytes) };
  const surface = surfaceOf(original, calls);
  const limits = { growPages: 64, growEntries: 10_000 };
  const metered = (fuel: number): ReturnType<typeof executeMetered> => executeMetered(prepared, surface, { ...limits, fuel }, stubHost(original));
  const first = metered(executionFuel);
  report.executed++;
  if (first.stopped !== undefined) {
    report.bounded++;
    return;
  }
  if (ranOutOfStack(first)) return;
  const expected = execute(original, surface, stubHost(original));
  if (ranOutOfStack(expected)) return;
  compare(expected, first, surface);
  // An import that fails, which stubs do when mutation gave them another type, leaves the instance unfit for more.
  const importFailed = first.calls.some(([, outcome]) => outcome.kind === "error" && /multi-return|iterable/.test(outcome.message));
  if (first.fuelUsed === 0 || importFailed || report.executed % 4 !== 0) return;
  const exact = metered(first.fuelUsed);
  if (exact.stopped !== undefined || exact.fuelUsed !== first.fuelUsed) {
    throw new Failed("fuel is deterministic", `used ${first.fuelUsed}, then ${exact.fuelUsed}, stopped by ${String(exact.stopped)}`);
  }
  const short = metered(first.fuelUsed - 1);
  if (short.stopped !== "fuel") throw new Failed("one unit less than used stops the module", `used ${first.fuelUsed}`);
}

function ranOutOfStack(run: Run): boolean {
  return [run.started, ...run.calls.map(([, outcome]) => outcome)].some(
    (outcome) => outcome.kind === "error" && outcome.message.startsWith("RangeError"),
  );
}

function show(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => (typeof inner === "bigint" ? `${inner}n` : inner));
}

function compare(expected: Run, actual: Run, surface: Surface): void {
  const claim = "an instrumented module does what the original does";
  if (!isDeepStrictEqual(actual.started, expected.started)) {
    throw new Failed(claim, `start: ${show(expected.started)} became ${show(actual.started)}`);
  }
  for (const [at, call] of expected.calls.entries()) {
    if (isDeepStrictEqual(actual.calls[at], call)) continue;
    throw new Failed(claim, `call ${show(surface.calls[at])}: ${show(call)} became ${show(actual.calls[at])}`);
  }
  if (!isDeepStrictEqual(actual.state, expected.state)) {
    throw new Failed(claim, `state: ${show(expected.state)} became ${show(actual.state)}`);
  }
}
