// The child's loop: takes orders, carries them out on the one plugin it has, and reports.

import { LOG_LEVELS, type LogLevel, type Logger } from "../abi/guest.ts";
import { ChildGuest } from "./child-guest.ts";
import { ChildCalls } from "./child-calls.ts";
import type { Link } from "./place.ts";
import { type CallOrder, type CreateOrder, type DropOrder, type LoadOrder, type Section } from "./protocol.ts";
import { splitSections } from "./report.ts";
import { needStack } from "./stack-room.ts";
import type { VariableMirror } from "./variables.ts";
import { warmUp } from "./warm-up.ts";
import { errorToWire } from "./wire-values.ts";

/** Orders after which the event loop gets a turn: what the engine left for it to do would pile up. */
const ORDERS_PER_TURN = 256;

/** Serves until the host is gone. */
export async function serve(link: Link): Promise<never> {
  const child = new Child(link);
  link.send({ type: "booted" });
  for (let orders = 1; ; orders++) {
    const packet = link.receive();
    const { header } = packet;
    let pending: Promise<void> | undefined;
    if (header.type === "load") pending = child.load(header, packet.sections);
    else if (header.type === "create") child.create(header, packet.sections);
    else if (header.type === "call") pending = child.call(header, packet.sections);
    else if (header.type === "warm") pending = warmUp(new ChildCalls(link, []));
    else if (header.type === "drop") child.drop(header, packet.sections);
    if (pending !== undefined) await pending;
    // An answer or an operation for a call that is over: nobody waits for it.
    if (orders % ORDERS_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

class Child {
  readonly #link: Link;
  #guest: ChildGuest | undefined;
  #mirror: VariableMirror | undefined;
  #calls: ChildCalls | undefined;

  constructor(link: Link) {
    this.#link = link;
  }

  async load(order: LoadOrder, sections: readonly Section[]): Promise<void> {
    const calls = new ChildCalls(this.#link, order.functions);
    try {
      const guest = await ChildGuest.load(order, sections, calls, this.#logger(order));
      this.#guest = guest;
      this.#calls = calls;
      this.#mirror = guest.mirror;
      this.#report(order.id, {});
    } catch (error) {
      this.#report(order.id, { error: errorToWire(error) });
    }
  }

  create(order: CreateOrder, sections: readonly Section[]): void {
    try {
      this.#begin(order, sections).create(order.timeoutMs);
      this.#report(order.id, {});
    } catch (error) {
      this.#report(order.id, { error: errorToWire(error) });
    }
  }

  call(order: CallOrder, sections: readonly Section[]): Promise<void> | undefined {
    const failed = (error: unknown): void => this.#report(order.id, { error: errorToWire(error) });
    const succeeded = (output: Section): void => this.#report(order.id, { output: true }, [output]);
    try {
      const { own } = splitSections({ header: order, sections });
      const output = this.#begin(order, sections).call(order, order.bytes === true ? own[0] : order.text);
      if (output instanceof Promise) return output.then(succeeded, failed);
      succeeded(output);
    } catch (error) {
      failed(error);
    }
    return undefined;
  }

  drop(order: DropOrder, sections: readonly Section[]): void {
    try {
      this.#begin(order, sections).drop();
      this.#report(order.id, {});
    } catch (error) {
      this.#report(order.id, { error: errorToWire(error) });
    }
  }

  /** Takes over what changed of the variables. */
  #begin(order: CreateOrder | CallOrder | DropOrder, sections: readonly Section[]): ChildGuest {
    if (this.#guest === undefined || this.#calls === undefined) throw new Error("an order before the plugin was loaded");
    this.#mirror?.apply(order.variables ?? [], splitSections({ header: order, sections }).values, Number.POSITIVE_INFINITY);
    this.#calls.begin(order.id);
    return this.#guest;
  }

  #report(id: number, rest: object, sections: readonly Section[] = []): void {
    const changed = this.#mirror?.takeChanges();
    const quotas = this.#guest?.quotas;
    const header = {
      type: "done",
      id,
      ...rest,
      fuel: this.#guest?.fuelUsed ?? 0,
      inputBytes: this.#guest?.inputBytes ?? 0,
      memoryBytes: this.#guest?.memoryBytes ?? 0,
      droppedLogs: this.#guest?.takeDroppedLogs() ?? 0,
      poisoned: this.#guest?.poisoned ?? false,
      ...(quotas === undefined ? {} : { quotas }),
      ...(changed === undefined ? {} : { variables: changed.changes }),
    };
    this.#link.send(header, changed === undefined ? sections : [...sections, ...changed.values]);
  }

  /** Log lines go to the host as they come: they are limited in number and size already. */
  #logger(order: LoadOrder): Logger | undefined {
    if (order.logLevel === undefined) return undefined;
    const write =
      (level: LogLevel): ((message: string) => void) =>
      (message) => {
        needStack();
        this.#link.send({ type: "log", level: LOG_LEVELS.indexOf(level), message });
      };
    return { trace: write("trace"), debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
  }
}
