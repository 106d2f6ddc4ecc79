// Host functions in a child: each asks the host and waits, doing what the host wants done to the plugin's blocks.

import type { CallContext, GuestHttp, HostFunction, HostFunctions, HostValue } from "../abi/guest.ts";
import { MortiseError } from "../api/errors.ts";
import type { HttpCall, HttpResponse } from "../api/http.ts";
import type { ParsedModule } from "../wasm/module-reader.ts";
import type { Link } from "./place.ts";
import { type Answer, type OperateOrder, type OperationName, type Section } from "./protocol.ts";
import { splitSections } from "./report.ts";
import { needStack } from "./stack-room.ts";
import type { VariableMirror } from "./variables.ts";
import { errorFromWire, errorToWire, fromWire, toWire } from "./wire-values.ts";

const I64 = 0x7e;
/** Values of each type but number, for a host function that returned one: the core refuses it by its type. */
const STAND_INS: Readonly<Record<string, () => unknown>> = {
  string: () => "",
  boolean: () => true,
  symbol: () => Symbol("stand-in"),
  function: () => () => {},
  object: () => ({}),
};
/** Added to the clock of a guest that is to stop; more with each look, since the first may be the one that starts it. */
const PAST_ANY_DEADLINE_MS = 2 ** 42;
/** Milliseconds that a guest sleeps between two looks at whether it is to stop, or its host is gone. */
const NAP_MS = 50;
/** Longest time that JSON is given: no deadline is no number there. */
const LONG_MS = 2 ** 40;

/** Nobody wakes who waits here. */
const NAP = new Int32Array(new SharedArrayBuffer(4));

/** The host functions of one plugin, as its instance imports them. */
export class ChildCalls {
  readonly hostFunctions: HostFunctions;
  readonly #link: Link;
  readonly #functions: readonly (readonly [module: string, name: string])[];
  /** For each host function, the arguments whose blocks the host read last time, as bits. */
  readonly #wanted: number[];
  /** For each, true if its result is an i64. */
  readonly #wide: boolean[];
  #mirror: VariableMirror | undefined;
  #lastId = 0;
  #call = 0;
  #stopped = false;
  #looks = 0;

  constructor(link: Link, functions: readonly (readonly [module: string, name: string])[]) {
    this.#link = link;
    this.#functions = functions;
    this.#wanted = functions.map(() => 0);
    this.#wide = functions.map(() => false);
    const byModule: Record<string, Record<string, HostFunction>> = Object.create(null);
    for (const [index, [module, name]] of functions.entries()) {
      const space = (byModule[module] ??= Object.create(null) as Record<string, HostFunction>);
      space[name] = ((context: CallContext, ...values: HostValue[]) => this.#ask(index, context, values)) as HostFunction;
    }
    this.hostFunctions = byModule;
  }

  /** The guest's clock, which runs out when the host wants the guest to stop. */
  readonly clock = (): number => {
    if (!this.#stopped && !this.#link.interrupted(this.#call)) return performance.now();
    return performance.now() + PAST_ANY_DEADLINE_MS * ++this.#looks;
  };

  /** Holds this thread until a guest's sleep is over, or the host wants the guest to stop. */
  readonly block = (milliseconds: number): void => {
    const end = performance.now() + milliseconds;
    for (let left = milliseconds; left > 0 && !this.#stopped && !this.#link.interrupted(this.#call); left = end - performance.now()) {
      Atomics.wait(NAP, 0, 0, Math.min(left, NAP_MS));
    }
  };

  learnTypes(module: ParsedModule): void {
    for (const item of module.imports) {
      const index = this.#functions.findIndex(([space, name]) => space === item.module && name === item.name);
      const type = module.types[module.functionTypes[item.index] as number];
      if (index >= 0 && type?.kind === "function") this.#wide[index] = type.results[0]?.code === I64;
    }
  }

  share(mirror: VariableMirror): void {
    this.#mirror = mirror;
  }

  begin(call: number): void {
    this.#call = call;
    this.#stopped = false;
    this.#looks = 0;
  }

  #ask(index: number, context: CallContext, values: readonly HostValue[]): unknown {
    // Out of stack half-way, the host would wait for the rest.
    needStack();
    const blocks: number[] = [];
    const sections: Section[] = [];
    const wanted = this.#wanted[index] as number;
    for (let at = 0; wanted >> at !== 0 && at < values.length; at++) {
      if ((wanted & (1 << at)) === 0) continue;
      blocks.push(at);
      // Reading charges the guest, as the host's own reading would.
      sections.push(context.read(values[at] as HostValue));
    }
    const id = ++this.#lastId;
    const { fuelLeft } = context;
    const fuel = fuelLeft === Number.POSITIVE_INFINITY ? {} : { fuel: fuelLeft };
    this.#send({ type: "host", id, index, values: values.map(toWire), ...(blocks.length === 0 ? {} : { blocks }), ...fuel }, sections);
    const { answer } = this.#wait(id, context);
    if (answer.charge !== undefined) context.charge(answer.charge);
    if (answer.wanted !== undefined) this.#wanted[index] = answer.wanted;
    return this.#settle(index, answer);
  }

  /** HTTP as the core takes it, but that responses come at once: the host performs the request while this thread waits. */
  http(showsHeaders: boolean): GuestHttp {
    return { showsHeaders, request: (json, body, call) => this.#request(json, body, call) as unknown as Promise<HttpResponse> };
  }

  /** @throws MortiseError why it failed */
  #request(json: string, body: Uint8Array | undefined, call: HttpCall): HttpResponse {
    needStack();
    const id = ++this.#lastId;
    const header = { type: "http", id, timeoutMs: Math.min(call.timeoutMs, LONG_MS), ...(body === undefined ? {} : { body: true }) };
    const text = new TextEncoder().encode(json);
    this.#send(header, body === undefined ? [text] : [text, body.slice()]);
    const { answer, sections } = this.#wait(id, undefined);
    if (answer.response !== undefined) return { ...answer.response, body: sections[0] ?? new Uint8Array(0) };
    if (answer.stopped === true) this.#stopped = true;
    const { plugin, function: fn } = call;
    throw errorFromWire(answer.error, plugin) ?? new MortiseError("MORTISE_TIMEOUT", { plugin, function: fn, limit: call.timeoutMs });
  }

  /** Bytes of standard input, at most as many; none at its end. */
  readInput(maxBytes: number): Section {
    needStack();
    const id = ++this.#lastId;
    this.#send({ type: "stdin", id, maxBytes }, []);
    const { answer, sections } = this.#wait(id, undefined);
    if (answer.stopped === true) this.#stopped = true;
    return sections[0] ?? new Uint8Array(0);
  }

  /** Hands bytes of standard output or standard error to the host. */
  writeOutput(stream: 1 | 2, bytes: Uint8Array): void {
    needStack();
    this.#link.send({ type: "output", stream }, [bytes.slice()]);
  }

  #settle(index: number, answer: Answer): unknown {
    if (answer.overflow === true) throw new RangeError("Maximum call stack size exceeded");
    if (answer.failed !== undefined) throw new Error(answer.failed);
    if (answer.stopped === true) {
      this.#stopped = true;
      return this.#wide[index] === true ? 0n : 0;
    }
    if (answer.value !== undefined) return fromWire(answer.value);
    return STAND_INS[answer.valueType ?? ""]?.();
  }

  /** Waits for the answer; meanwhile the host may operate on the blocks. */
  #wait(id: number, context: CallContext | undefined): { readonly answer: Answer; readonly sections: readonly Section[] } {
    for (;;) {
      const { header, sections } = this.#link.receive();
      if (header.type === "operate" && context !== undefined) this.#operate(header, sections, context);
      else if (header.type === "answer" && header.id === id) {
        const { own, values } = splitSections({ header, sections });
        this.#mirror?.apply(header.variables ?? [], values, Number.POSITIVE_INFINITY);
        return { answer: header, sections: own };
      }
    }
  }

  #operate(order: OperateOrder, sections: readonly Section[], context: CallContext): void {
    try {
      const result = OPERATE[order.operation](context, order, sections[0]);
      if (typeof result === "object") this.#send({ type: "result", bytes: true }, [result]);
      else this.#send(result === undefined ? { type: "result" } : { type: "result", value: toWire(result) }, []);
    } catch (error) {
      this.#send({ type: "result", error: errorToWire(error) }, []);
    }
  }

  #send(header: object, sections: readonly Section[]): void {
    const changed = this.#mirror?.takeChanges();
    if (changed === undefined) this.#link.send(header, sections);
    else this.#link.send({ ...header, variables: changed.changes }, [...sections, ...changed.values]);
  }
}

type Operate = (context: CallContext, order: OperateOrder, data: Section | undefined) => HostValue | Section | undefined | void;

const addressOf = (order: OperateOrder): HostValue => fromWire(order.address) ?? 0;

const OPERATE: Readonly<Record<OperationName, Operate>> = {
  read: (context, order) => context.read(addressOf(order), order.length),
  write: (context, order, data) => context.write(addressOf(order), data ?? new Uint8Array(0)),
  length: (context, order) => context.length(addressOf(order)),
  store: (context, _order, data) => context.store(data ?? new Uint8Array(0)),
  alloc: (context, order) => context.alloc(Number(addressOf(order))),
  free: (context, order) => context.free(addressOf(order)),
  setError: (context, order, data) => context.setError(order.data === true ? new TextDecoder().decode(data) : undefined),
  setVariable: (context, order, data) => context.setVariable(order.name ?? "", order.data === true ? data : undefined),
};
