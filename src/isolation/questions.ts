// What a guest elsewhere asks of its host during one order: host functions, HTTP, standard input, logs.

import { runHostCall, suspendHostCall } from "../abi/call-chain.ts";
import { type CallOrigin, HostCallContext } from "../abi/call-context.ts";
import { isStackOverflow } from "../abi/guest-failure.ts";
import { type CallContext, LOG_LEVELS, type ProvidedFunction } from "../abi/guest.ts";
import { MortiseError, isMortiseError, printable } from "../api/errors.ts";
import type { PluginBlueprint } from "./blueprint.ts";
import {
  type Answer,
  type HostReport,
  type HttpReport,
  type OperateOrder,
  type Order,
  ProtocolError,
  type ResultReport,
  type Section,
  type StdinReport,
} from "./protocol.ts";
import { type OpenHostCall, remoteAccess } from "./remote-context.ts";
import type { RawPacket } from "./report.ts";
import { errorFromWire, errorToWire, fromWire, textOf, toWire } from "./wire-values.ts";

/** Bytes that a log line counts beyond its text, as limits.logBytes has it, and those of the notice about dropped lines. */
const LINE_OVERHEAD = 16;
const LOG_NOTICE_BYTES = 4096;
/** Longest a character can get by being made safe to print, in bytes: `\u202e` for three of them, or for one. */
const ESCAPE_BYTES = 6;
/** Longest log line: what the core cuts it to, and the mark that it was cut. */
const MAX_LOG_CHARS = 50_000;

/** What a session does for the questions of an order. */
export interface Channel {
  readonly stallMs: number;
  send(order: Order, sections: readonly Section[]): void;
  /** Sends an operation and waits for the next packet; undefined if none comes. */
  exchange(order: Order, sections: readonly Section[]): RawPacket | undefined;
  /** The result in a packet; undefined if it was something else. @throws ProtocolError */
  takeResult(raw: RawPacket): { readonly result: ResultReport; readonly bytes: Section | undefined } | undefined;
  /** Ends a child that does not keep to the protocol. */
  break(error: ProtocolError): void;
}

/** The order whose questions are answered. */
export interface Asked {
  /** Undefined for what is not about a function. */
  readonly function: string | undefined;
  readonly context: unknown;
  /** Where a call comes from; absent for what is not called. */
  readonly origin?: CallOrigin;
  readonly timeoutMs: number;
  /** Cost units that it may use, if that is less than limits.fuel. */
  readonly fuel?: number;
}

type Result = Omit<Answer, "type" | "id" | "variables">;

/** Answers the questions of one order. Once it is over nothing goes back to the child. */
export class Questions {
  /** What the host function that failed had thrown, and whether it came out of its call context. */
  thrown: { readonly error: unknown; readonly own: boolean } | undefined;
  readonly #blueprint: PluginBlueprint;
  readonly #function: string;
  readonly #asked: Asked;
  readonly #functions: readonly (readonly [module: string, name: string])[];
  readonly #channel: Channel;
  /** The question that the child waits for. */
  #open: OpenHostCall | undefined;
  readonly #endsAt: number;
  /** Cost units that the host lets be used for the order; what the child says of it is not taken for more. */
  #fuel: number;
  #over = false;
  #context: HostCallContext | undefined;
  #controller: AbortController | undefined;
  #loggedBytes = 0;

  constructor(blueprint: PluginBlueprint, asked: Asked, functions: readonly (readonly [module: string, name: string])[], channel: Channel) {
    this.#endsAt = performance.now() + asked.timeoutMs;
    this.#fuel = Math.min(blueprint.state.limits.fuel, asked.fuel ?? Number.POSITIVE_INFINITY);
    this.#blueprint = blueprint;
    this.#function = asked.function ?? "";
    this.#asked = asked;
    this.#functions = functions;
    this.#channel = channel;
  }

  /** A log line. @throws ProtocolError if there are more than the child's own limit lets through */
  log(level: number, message: string): void {
    const { logger, limits } = this.#blueprint.state;
    this.#loggedBytes += Buffer.byteLength(message, "utf8") + LINE_OVERHEAD;
    if (this.#loggedBytes > limits.logBytes * ESCAPE_BYTES + LOG_NOTICE_BYTES) throw new ProtocolError("it logs more than limits.logBytes allows");
    try {
      const written: unknown = logger?.[LOG_LEVELS[level] ?? "info"](printable(message, MAX_LOG_CHARS));
      if (isThenable(written)) void Promise.resolve(written).catch(nothing);
    } catch {
      // A logger that fails is the operator's trouble, not the guest's.
    }
  }

  /** Bytes for standard output or standard error. */
  output(stream: 1 | 2, bytes: Section): void {
    const { wasi } = this.#blueprint;
    try {
      (stream === 1 ? wasi?.stdout : wasi?.stderr)?.(bytes);
    } catch {
      // As for a logger.
    }
  }

  /**
   * Takes a question; `stopped` if the order is to end.
   *
   * @throws ProtocolError if it is none that may be asked now
   */
  ask(report: HostReport | HttpReport | StdinReport, sections: readonly Section[], stopped: boolean): void {
    if (this.#open !== undefined) throw new ProtocolError("a question while another waits for its answer");
    const values = report.type === "host" ? report.values.map((value) => fromWire(value) as number | bigint) : [];
    const blocks = new Map<number, Section>();
    for (const [index, argument] of (report.type === "host" ? (report.blocks ?? []) : []).entries()) {
      const address = values[argument];
      if (address === undefined) throw new ProtocolError("a block of an argument that there is not");
      blocks.set(Number(address), sections[index] as Section);
    }
    const fuel = Math.min(report.type === "host" ? (report.fuel ?? Number.POSITIVE_INFINITY) : 0, this.#fuel);
    this.#open = { id: report.id, values, blocks, fuel, charge: 0, wanted: report.type === "host" ? 0 : undefined };
    if (stopped) this.stop();
    else if (report.type === "host") this.#callHost(report, values);
    else if (report.type === "http") this.#request(report, sections);
    else this.#readInput(report);
  }

  /** Tells a child that waits for an answer to end the call; false if it does not wait. */
  stop(): boolean {
    const open = this.#open;
    if (open === undefined) return false;
    this.#answer(open.id, { stopped: true });
    return true;
  }

  /** The order is over, with an error or without: takes the guest away from whoever still has its context. */
  end(error: MortiseError | undefined): void {
    this.#over = true;
    this.#open = undefined;
    this.#context?.end();
    this.#controller?.abort(error);
  }

  /** Answers a question, if it still waits for that. */
  #answer(id: number, result: Result, sections: readonly Section[] = []): void {
    const open = this.#open;
    if (open?.id !== id) return;
    this.#open = undefined;
    const { wanted, charge } = open;
    this.#fuel = Math.max(this.#fuel - charge, 0);
    const more = { ...(wanted === undefined ? {} : { wanted }), ...(charge === 0 ? {} : { charge }) };
    this.#channel.send({ type: "answer", id, ...result, ...more }, sections);
  }

  #callHost({ id, index }: HostReport, values: readonly (number | bigint)[]): void {
    const { state } = this.#blueprint;
    const [module, name] = this.#functions[index] ?? [];
    const own = module === undefined || name === undefined ? undefined : state.hostFunctions[module]?.[name];
    const provided = module === undefined || name === undefined ? undefined : state.provided[module]?.[name];
    const work = own ?? provided?.run;
    if (work === undefined) throw new ProtocolError("a call of a host function that there is not");
    if (own === undefined && provided !== undefined) checkValues(provided, values);
    const context = (this.#context ??= this.#makeContext());
    const call = work as (context: CallContext, ...values: (number | bigint)[]) => unknown;
    const coded = own === undefined;
    const failed = (error: unknown): void => this.#answer(id, this.#failure(id, context, error, coded));
    try {
      runHostCall(state, own === undefined ? provided?.waits === true : own instanceof AsyncFunction, (record) => {
        const result = call(context, ...values);
        if (isThenable(result)) {
          suspendHostCall(record);
          Promise.resolve(result).then((settled) => this.#answer(id, wireResult(settled)), failed);
        } else this.#answer(id, wireResult(result));
      });
    } catch (error) {
      failed(error);
    }
  }

  /** @param coded set for a function of the host's own, whose errors are meant for the plugin's caller */
  #failure(id: number, context: HostCallContext, error: unknown, coded: boolean): Result {
    if (isStackOverflow(error)) return { overflow: true };
    if (this.#open?.id === id) this.thrown = { error, own: context.threw(error) || (coded && isMortiseError(error)) };
    return { failed: textOf(error) };
  }

  #request({ id, timeoutMs }: HttpReport, [json, body]: readonly Section[]): void {
    const { http, state } = this.#blueprint;
    if (http === undefined) throw new ProtocolError("an HTTP request that nobody performs");
    const call = { plugin: state.name, function: this.#function, timeoutMs, signal: this.#signal() };
    // In an async function, so that what it throws at once is a rejection too.
    const performed = (async () => http.request(new TextDecoder().decode(json), body, call))();
    performed.then(
      ({ status, headers, body: received }) => this.#answer(id, { response: { status, headers: { ...headers } } }, [received.slice()]),
      (error: unknown) => this.#answer(id, { error: errorToWire(error) }),
    );
  }

  #readInput({ id, maxBytes }: StdinReport): void {
    const stdin = this.#blueprint.wasi?.stdin;
    const read = async (): Promise<Uint8Array> => (typeof stdin === "object" && "read" in stdin ? stdin.read(maxBytes) : new Uint8Array(0));
    read().then(
      (bytes) => this.#answer(id, {}, [new Uint8Array(bytes.subarray(0, maxBytes))]),
      (error: unknown) => this.#answer(id, { failed: textOf(error) }),
    );
  }

  #signal(): AbortSignal {
    return (this.#controller ??= new AbortController()).signal;
  }

  #makeContext(): HostCallContext {
    const access = remoteAccess(
      this.#blueprint.state,
      this.#function,
      () => this.#signal(),
      () => this.#endsAt - performance.now(),
      () => this.#open,
      (order, data) => this.#operate(order, data),
    );
    return new HostCallContext(access, this.#asked.context, this.#asked.origin);
  }

  #operate(order: OperateOrder, data: Section | undefined): { readonly result: ResultReport; readonly bytes: Section | undefined } {
    const { name } = this.#blueprint.state;
    const stale = (): MortiseError => new MortiseError("MORTISE_STALE_CONTEXT", { plugin: name, function: this.#function });
    if (this.#over || this.#open === undefined) throw stale();
    try {
      const raw = this.#channel.exchange(order, data === undefined ? [] : [data]);
      if (raw === undefined) throw new ProtocolError(`it did not answer within ${this.#channel.stallMs} ms`);
      const taken = this.#channel.takeResult(raw);
      // It gave up the host call, for want of stack.
      if (taken === undefined) throw stale();
      const { error } = taken.result;
      if (error === undefined) return taken;
      throw errorFromWire(error, name) ?? new ProtocolError("an operation fails with an error that there is not");
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#channel.break(error);
      throw stale();
    }
  }
}

/** Functions of the host's own are not to be called in a way in which no guest could. @throws ProtocolError */
function checkValues({ params }: ProvidedFunction, values: readonly (number | bigint)[]): void {
  if (values.length !== params.length) throw new ProtocolError(`a call with ${values.length} values instead of ${params.length}`);
  for (const [index, type] of params.entries()) {
    const value = values[index];
    const fits = type === "i64" ? typeof value === "bigint" && BigInt.asIntN(64, value) === value : typeof value === "number";
    if (!fits || (type === "i32" && (Number(value) | 0) !== value)) throw new ProtocolError(`a value is no ${type}`);
  }
}

/** A host function's result, or what is the matter with it. */
function wireResult(result: unknown): Result {
  if (typeof result === "bigint" || typeof result === "number") return { value: toWire(result) };
  return result === undefined ? {} : { valueType: typeof result };
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}

const nothing = (): void => {};
const AsyncFunction = (async () => {}).constructor as FunctionConstructor;
