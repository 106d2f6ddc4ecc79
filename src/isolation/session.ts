// One plugin in one place: its orders, their deadlines, and how they end.

import { MortiseError, isMortiseError, printable } from "../api/errors.ts";
import type { PluginBlueprint, ResolvedRemotePool } from "./blueprint.ts";
import type { Loss, Place } from "./place.ts";
import { type DoneReport, type Order, type Packet, ProtocolError, type Report, type ResultReport, type Section } from "./protocol.ts";
import { type Asked, type Channel, Questions } from "./questions.ts";
import { type RawPacket, readReport, splitSections } from "./report.ts";
import { VariableMirror } from "./variables.ts";
import { errorFromWire } from "./wire-values.ts";

/** Longest delay that a timer takes; a later deadline is the child's alone. */
const MAX_TIMER_MS = 0x7fff_ffff;

/** What an order is about. */
export interface Request extends Asked {
  readonly statedMs: number;
  readonly header: { readonly type: "load" | "create" | "call" | "drop" };
  readonly sections: readonly Section[];
}

/** What a child reported of an order that it carried out. */
export interface Done {
  readonly report: DoneReport;
  readonly output: Section | undefined;
}

/** An order that is being carried out. */
interface Running {
  readonly id: number;
  readonly request: Request;
  readonly settle: (result: Done | MortiseError) => void;
  timer: NodeJS.Timeout | undefined;
  /** The error that it ends with, whatever the child says. */
  ending: MortiseError | undefined;
  readonly questions: Questions;
}

/** A place with a plugin; one order at a time. */
export class Session {
  /** True once the place is gone. */
  lost = false;
  /** What it said that it had added to each granted folder; undefined once it ended while a guest ran, since it cannot have said all then. */
  quotas: DoneReport["quotas"] = [];
  /** Called when the place is lost, whether an order is being carried out or not. */
  onLost: (() => void) | undefined;
  readonly #place: Place;
  readonly #blueprint: PluginBlueprint;
  readonly #pool: ResolvedRemotePool;
  readonly #mirror: VariableMirror;
  readonly #functions: readonly (readonly [module: string, name: string])[];
  readonly #channel: Channel;
  #running: Running | undefined;
  #lastId = 0;

  constructor(place: Place, blueprint: PluginBlueprint, pool: ResolvedRemotePool) {
    this.#place = place;
    this.#blueprint = blueprint;
    this.#pool = pool;
    this.#mirror = new VariableMirror(blueprint.state);
    const { hostFunctions, provided } = blueprint.state;
    const own = Object.entries(hostFunctions).flatMap(([module, space]) => Object.keys(space).map((name) => [module, name] as const));
    const others = Object.entries(provided).flatMap(([module, space]) =>
      Object.keys(space).flatMap((name) => (Object.hasOwn(hostFunctions[module] ?? {}, name) ? [] : [[module, name] as const])),
    );
    this.#functions = [...own, ...others];
    this.#channel = {
      stallMs: pool.stallMs,
      send: (order, sections) => this.#send(order, sections),
      exchange: (order, sections) => (this.lost ? undefined : place.exchange(order, sections, pool.stallMs)),
      takeResult: (raw) => this.#takeResult(raw),
      break: (error) => this.#break(error),
    };
    place.listen({ onPacket: (packet) => this.#receive(packet), onLoss: (loss) => this.#lose(loss) });
  }

  /** Host functions in the order in which reports number them. */
  get functions(): readonly (readonly [module: string, name: string])[] {
    return this.#functions;
  }

  get busy(): boolean {
    return this.#running !== undefined;
  }

  /** Fulfilled when the place is gone. */
  get exited(): Promise<void> {
    return this.#place.exited;
  }

  /**
   * Has the child carry out an order.
   *
   * @throws MortiseError what the child reports, or why there is no report
   */
  request(request: Request): Promise<Done> {
    return new Promise((resolve, reject) => {
      const id = (this.#lastId = (this.#lastId + 1) >>> 0 || 1);
      if (this.lost || this.#running !== undefined) {
        reject(this.#lossError({ reason: this.lost ? "it is gone" : "it is busy", outOfMemory: false }, request.function));
        return;
      }
      const settle = (result: Done | MortiseError): void => (isMortiseError(result) ? reject(result) : resolve(result));
      this.#running = {
        id,
        request,
        settle,
        timer: this.#timer(request.timeoutMs, () => this.#expire(id)),
        ending: undefined,
        questions: new Questions(this.#blueprint, request, this.#functions, this.#channel),
      };
      this.#place.hold();
      this.#send({ ...request.header, id } as Order, request.sections);
    });
  }

  /** Sends an order, and with it what changed of the variables. */
  #send(order: Order, sections: readonly Section[]): void {
    if (this.lost) return;
    const changed = order.type === "load" ? undefined : this.#mirror.takeChanges();
    if (changed === undefined) this.#place.send(order, sections);
    else this.#place.send({ ...order, variables: changed.changes } as Order, [...sections, ...changed.values]);
  }

  /** Ends the order that is being carried out; its request then fails with `error`. */
  stop(error: MortiseError): void {
    const running = this.#running;
    if (running === undefined) return;
    running.ending ??= error;
    this.#interrupt(running);
  }

  /** Ends the place. */
  end(): void {
    if (this.lost) return;
    this.lost = true;
    this.#place.kill();
    const running = this.#running;
    if (running !== undefined) this.#finish(running, running.ending ?? this.#lossError({ reason: "it was ended", outOfMemory: false }));
  }

  // ---- deadlines

  #timer(ms: number, work: () => void): NodeJS.Timeout | undefined {
    // A deadline may have passed on the way here.
    return ms > MAX_TIMER_MS ? undefined : setTimeout(work, Math.max(0, Math.ceil(ms)));
  }

  /** The deadline has come. The guest's own meter stops it, unless it waits for a host function. */
  #expire(id: number): void {
    const running = this.#running;
    if (running?.id !== id) return;
    this.#interrupt(running);
  }

  /** Asks the guest to stop, and ends the place if it does not do so in time, or cannot be asked. */
  #interrupt(running: Running): void {
    const asked = this.#place.interrupt(running.id);
    if (!running.questions.stop() && !asked && running.ending !== undefined) {
      this.#kill(running);
      return;
    }
    clearTimeout(running.timer);
    running.timer = setTimeout(() => this.#kill(running), this.#pool.graceMs);
  }

  #kill(running: Running): void {
    if (this.#running !== running) return;
    this.lost = true;
    this.#place.kill();
    const { function: fn, statedMs } = running.request;
    const late =
      fn === undefined
        ? this.#lossError({ reason: `it did not load the plugin within ${statedMs} ms`, outOfMemory: false })
        : new MortiseError("MORTISE_TIMEOUT", { plugin: this.#blueprint.state.name, function: fn, limit: statedMs });
    this.#finish(running, running.ending ?? late);
    this.onLost?.();
  }

  // ---- reports

  #receive(raw: RawPacket): void {
    if (this.lost) return;
    try {
      const packet = readReport(raw);
      this.#act(packet);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#break(error);
    }
  }

  /** Ends a child that does not keep to the protocol. */
  #break(error: ProtocolError): void {
    if (this.lost) return;
    this.#place.kill();
    this.#lose({ reason: `it broke the protocol: ${printable(error.message)}`, outOfMemory: false });
  }

  #act(packet: Packet<Report>): void {
    const { header } = packet;
    const running = this.#running;
    if (running === undefined) throw new ProtocolError(`a report of type "${header.type}" without an order`);
    const { own, values } = splitSections(packet);
    if ("variables" in header && header.variables !== undefined) this.#takeVariables(header.variables, values);
    switch (header.type) {
      case "log":
        running.questions.log(header.level, header.message);
        break;
      case "output":
        running.questions.output(header.stream, own[0] as Section);
        break;
      case "host":
      case "http":
      case "stdin":
        running.questions.ask(header, own, running.ending !== undefined);
        break;
      case "done":
        if (header.id !== running.id) throw new ProtocolError("an order is done that was not given");
        this.#done(running, header, own[0]);
        break;
      default:
        throw new ProtocolError(`a report of type "${header.type}" that nobody asked for`);
    }
  }

  /** The result in a packet that came for an operation; undefined if it was something else, which is acted on. */
  #takeResult(raw: RawPacket): { readonly result: ResultReport; readonly bytes: Section | undefined } | undefined {
    const packet = readReport(raw);
    const { header } = packet;
    if (header.type !== "result") {
      this.#act(packet);
      return undefined;
    }
    const { own, values } = splitSections(packet);
    if (header.variables !== undefined) this.#takeVariables(header.variables, values);
    return { result: header, bytes: own[0] };
  }

  #takeVariables(changes: NonNullable<DoneReport["variables"]>, values: readonly Section[]): void {
    const { limits } = this.#blueprint.state;
    if (!this.#mirror.apply(changes, values, limits.varBytes)) throw new ProtocolError("its variables take more than limits.varBytes allows");
  }

  #done(running: Running, report: DoneReport, output: Section | undefined): void {
    const { state } = this.#blueprint;
    state.droppedLogs += report.droppedLogs;
    this.quotas = report.quotas ?? [];
    if (running.ending !== undefined) this.#finish(running, running.ending);
    else if (report.error === undefined) {
      if (output !== undefined && output.length > state.limits.outputBytes) throw new ProtocolError("its output is larger than limits.outputBytes");
      this.#finish(running, { report, output });
    } else {
      const thrown = report.error.code === "MORTISE_HOST_FUNCTION" ? running.questions.thrown : undefined;
      const error = errorFromWire(report.error, state.name, thrown?.error);
      if (error === undefined) throw new ProtocolError("it reports an error that there is not");
      // What came out of the call context is the failure itself, as it is inline; the child knows its text alone.
      this.#finish(running, thrown?.own === true && isMortiseError(thrown.error) ? thrown.error : error, report);
    }
  }

  #finish(running: Running, result: Done | MortiseError, report?: DoneReport): void {
    this.#running = undefined;
    clearTimeout(running.timer);
    // Loading runs nothing of the guest.
    if (this.lost && running.request.header.type !== "load") this.quotas = undefined;
    this.#place.release();
    running.questions.end(isMortiseError(result) ? result : undefined);
    if (report !== undefined) this.#last = report;
    else if (!isMortiseError(result)) this.#last = result.report;
    running.settle(result);
  }

  #last: DoneReport | undefined;

  /** What the last order came to, also if it failed; undefined if the child did not say. Asking takes it away. */
  takeLast(): DoneReport | undefined {
    const last = this.#last;
    this.#last = undefined;
    return last;
  }

  #lose(loss: Loss): void {
    if (this.lost) return;
    this.lost = true;
    const running = this.#running;
    if (running !== undefined) this.#finish(running, running.ending ?? this.#lossError(loss, running.request.function));
    this.onLost?.();
  }

  #lossError(loss: Loss, fn?: string): MortiseError {
    const who = { plugin: this.#blueprint.state.name, ...(fn === undefined ? {} : { function: fn }) };
    if (loss.outOfMemory && fn !== undefined) {
      return new MortiseError("MORTISE_MEMORY_LIMIT", {
        ...who,
        function: fn,
        limit: this.#pool.heapBytes,
        place: this.#place.kind,
        reason: loss.reason,
      });
    }
    return new MortiseError("MORTISE_ISOLATION_LOST", { ...who, place: this.#place.kind, reason: loss.reason });
  }
}
