// Runs a module against a deterministic host and records everything a guest or host could observe of it.
import { crc32 } from "node:zlib";

/** What a call ended in; traps and errors by kind and message, without byte offsets, which rewriting moves. */
export type Outcome =
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "trap" | "exception" | "error"; readonly message: string };

export interface Run {
  /** How instantiation and the start function ended; no calls follow unless it is a value. */
  readonly started: Outcome;
  readonly calls: readonly (readonly [name: string, outcome: Outcome])[];
  /** Final memories, globals and tables by export name, and what the host was told. */
  readonly state: Readonly<Record<string, unknown>>;
}

/** A deterministic set of imports with the memory of what it was called with. */
export interface Host {
  readonly imports: WebAssembly.Imports;
  readonly state: () => Record<string, unknown>;
  /** Lets the host call back into the instance. */
  readonly bind: (instance: WebAssembly.Instance) => void;
}

/** The host the corpus imports as "host"; each run gets a new one. */
export function createHost(): Host {
  const log: unknown[] = [];
  let instance: WebAssembly.Instance | undefined;
  const tag = new WebAssembly.Tag({ parameters: ["i32"] });
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 16 });
  const table = new WebAssembly.Table({ element: "anyfunc", initial: 10, maximum: 20 });
  const mutable = new WebAssembly.Global({ value: "i32", mutable: true }, 100);
  const host = {
    log: (value: number): void => void log.push(value),
    count: (): void => void log.push("counted"),
    add: (left: number, right: number): number => (left + right) | 0,
    wide: (value: bigint): bigint => BigInt.asIntN(64, value * 3n),
    half: (value: number): number => value / 2,
    pair: (): [number, bigint] => [7, 8n],
    identity: (value: unknown): unknown => value,
    fail: (): never => {
      throw new Error("host failure");
    },
    throw_tag: (): never => {
      throw new WebAssembly.Exception(tag, [42]);
    },
    reenter: (): unknown => {
      const callback = instance?.exports["callback"];
      return typeof callback === "function" ? Reflect.apply(callback, undefined, []) : 0;
    },
    g_i32: 11,
    g_i64: new WebAssembly.Global({ value: "i64" }, 1n << 40n),
    g_f64: 2.5,
    g_extern: new WebAssembly.Global({ value: "externref" }, { name: "an object of the host" }),
    g_mut: mutable,
    tag_i32: tag,
    memory,
    table,
  };
  return {
    imports: { host: host as unknown as WebAssembly.ModuleImports },
    state: () => ({ log, memory: describe(memory), table: describe(table), global: describe(mutable) }),
    bind: (bound) => {
      instance = bound;
    },
  };
}

function describeEntry(entry: unknown): string {
  return entry === null ? "null" : typeof entry;
}

/** More than this of a memory or table is not looked at: mutated modules may have gigabytes of nothing. */
const maxDescribedBytes = 1 << 24;
const maxDescribedEntries = 100_000;

function describeTable(table: WebAssembly.Table): string[] {
  // oxlint-disable-next-line no-unnecessary-type-conversion -- a table with 64-bit indexes has a bigint
  const length = Math.min(Number(table.length), maxDescribedEntries);
  const at = typeof table.length === "bigint" ? BigInt : Number;
  return Array.from({ length }, (_, index) => {
    try {
      return describeEntry(table.get(at(index) as number));
    } catch {
      return "unreadable";
    }
  });
}

/** A comparable description of an exported entity. */
export function describe(entity: unknown): unknown {
  if (entity instanceof WebAssembly.Memory) {
    const { buffer } = entity;
    const bytes = new Uint8Array(buffer, 0, Math.min(buffer.byteLength, maxDescribedBytes));
    return { bytes: buffer.byteLength, digest: crc32(bytes) };
  }
  if (entity instanceof WebAssembly.Table) return describeTable(entity);
  if (entity instanceof WebAssembly.Global) {
    try {
      const value: unknown = entity.value;
      return typeof value === "number" || typeof value === "bigint" ? value : describeEntry(value);
    } catch {
      return "unreadable";
    }
  }
  return describeEntry(entity);
}

function describeException(exception: WebAssembly.Exception, instance: WebAssembly.Instance | undefined): string {
  for (const [name, tag] of Object.entries(instance?.exports ?? {})) {
    if (!(tag instanceof WebAssembly.Tag) || !exception.is(tag)) continue;
    try {
      return `${name}(${String(exception.getArg(tag, 0))})`;
    } catch {
      return `${name}()`;
    }
  }
  return "of a tag that is not exported";
}

/** Runs `action` and says how it ended. */
export function observe(action: () => unknown, instance?: WebAssembly.Instance): Outcome {
  try {
    const value = action();
    // Only numbers can be compared across two instances.
    return { kind: "value", value: typeof value === "object" && !Array.isArray(value) ? describeEntry(value) : value };
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) return { kind: "trap", message: withoutOffsets(error.message) };
    if (error instanceof WebAssembly.Exception) {
      return { kind: "exception", message: describeException(error, instance) };
    }
    return { kind: "error", message: withoutOffsets(String(error)) };
  }
}

function withoutOffsets(message: string): string {
  return message.replace(/ @\+\d+/, "");
}

/** What has to happen between instantiation and the first call; nothing for an original module. */
export interface Wiring {
  readonly attach?: (instance: WebAssembly.Instance) => void;
  readonly start?: (instance: WebAssembly.Instance) => void;
}

export interface Call {
  readonly name: string;
  readonly args: readonly unknown[];
}

/** What to call and to compare, taken from the original module, so that additions by a rewriter are left out. */
export interface Surface {
  readonly calls: readonly Call[];
  readonly entities: readonly string[];
}

/** The `test_` functions of a corpus module and all its exports; or the given calls. */
export function surfaceOf(original: WebAssembly.Module, calls?: readonly Call[]): Surface {
  const exported = WebAssembly.Module.exports(original);
  const tests = exported.filter(({ kind, name }) => kind === "function" && name.startsWith("test_"));
  return {
    calls: calls ?? tests.map(({ name }) => ({ name, args: [] })),
    entities: exported.filter(({ kind }) => kind !== "tag").map(({ name }) => name),
  };
}

/** Instantiates, starts and drives `module`, then looks at what is left. */
export function execute(module: WebAssembly.Module, surface: Surface, host: Host = createHost(), wiring: Wiring = {}): Run {
  let instance: WebAssembly.Instance | undefined;
  const started = observe(() => {
    instance = new WebAssembly.Instance(module, host.imports);
    host.bind(instance);
    wiring.attach?.(instance);
    wiring.start?.(instance);
    return 0;
  });
  const calls: (readonly [string, Outcome])[] = [];
  const state: Record<string, unknown> = {};
  if (instance !== undefined && started.kind === "value") {
    for (const call of surface.calls) calls.push([call.name, callExport(instance, call)]);
    for (const name of surface.entities) state[name] = describe(instance.exports[name]);
  }
  return { started, calls, state: { ...state, " host": host.state() } };
}

function callExport(instance: WebAssembly.Instance, { name, args }: Call): Outcome {
  const callee = instance.exports[name];
  if (typeof callee !== "function") return { kind: "error", message: `no function "${name}"` };
  return observe(() => Reflect.apply(callee, undefined, args), instance);
}
