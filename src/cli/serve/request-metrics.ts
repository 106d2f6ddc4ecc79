// Numbers of requests in Prometheus's text format, out of the lines that the gateway logs for them.

import type { GatewayLogger } from "../../gateway/index.ts";

/** Sets of labels that are told apart; the others are counted as "other". */
const MAX_SERIES = 1000;
const MAX_LABEL_CHARS = 128;
/** Upper bounds in seconds. */
const BOUNDS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const MS_PER_SECOND = 1000;

interface Durations {
  /** Requests by the first bound that they kept, those beyond all of them last. */
  readonly counts: number[];
  sum: number;
}

/** What a line of a request has. */
interface RequestFields {
  readonly request_id?: unknown;
  readonly client?: unknown;
  readonly api?: unknown;
  readonly provider?: unknown;
  readonly model?: unknown;
  readonly status?: unknown;
  readonly attempts?: unknown;
  readonly duration_ms?: unknown;
  readonly tokens?: unknown;
}

/** Counts requests. */
export class RequestMetrics {
  readonly #requests = new Map<string, number>();
  readonly #tokens = new Map<string, number>();
  readonly #retries = new Map<string, number>();
  readonly #durations = new Map<string, Durations>();
  readonly #running: () => number;

  /** @param running requests under way */
  constructor(running: () => number) {
    this.#running = running;
  }

  /** A logger that counts the lines of requests, and hands all on. */
  around(logger: GatewayLogger): GatewayLogger {
    const counting =
      (level: "info" | "warn" | "error") =>
      (first: object | string, second?: string): void => {
        if (typeof first === "string") return logger[level](first);
        this.#count(first);
        return logger[level](first, second ?? "");
      };
    return { trace: logger.trace, debug: logger.debug, info: counting("info"), warn: counting("warn"), error: counting("error") };
  }

  #count({ request_id: id, api, provider, model, status, attempts, duration_ms: duration, tokens }: RequestFields): void {
    if (id === undefined || typeof status !== "number") return;
    const who = labels({ api, provider, model });
    add(this.#requests, labels({ api, provider, model, status }), 1);
    if (typeof tokens === "number") add(this.#tokens, who, tokens);
    if (typeof attempts === "number" && attempts > 1) add(this.#retries, who, attempts - 1);
    if (typeof duration === "number") this.#took(labels({ api, provider }), duration / MS_PER_SECOND);
  }

  #took(key: string, seconds: number): void {
    const durations = known(this.#durations, key, () => ({ counts: Array.from({ length: BOUNDS.length + 1 }, () => 0), sum: 0 }));
    const at = BOUNDS.findIndex((bound) => seconds <= bound);
    const index = at < 0 ? BOUNDS.length : at;
    durations.counts[index] = (durations.counts[index] ?? 0) + 1;
    durations.sum += seconds;
  }

  /** The text. */
  prometheus(): string {
    const text = [
      family("mortise_gateway_requests_total", "counter", "Requests that ended, by status.", this.#requests),
      family("mortise_gateway_tokens_total", "counter", "Tokens of input and output.", this.#tokens),
      family("mortise_gateway_further_attempts_total", "counter", "Times that a model was asked after the first one.", this.#retries),
      family("mortise_gateway_requests_running", "gauge", "Requests under way.", new Map([["", this.#running()]])),
      this.#histogram("mortise_gateway_request_duration_seconds", "Time from a request to the end of its answer."),
    ];
    return text.join("");
  }

  #histogram(name: string, help: string): string {
    const lines = [...this.#durations].flatMap(([key, { counts, sum }]) => {
      let total = 0;
      const buckets = counts.map((count, index) => `${name}_bucket{${key},le="${BOUNDS[index] ?? "+Inf"}"} ${(total += count)}`);
      return buckets.concat(`${name}_sum{${key}} ${sum}`, `${name}_count{${key}} ${total}`);
    });
    return lines.length === 0 ? "" : `# HELP ${name} ${help}\n# TYPE ${name} histogram\n${lines.join("\n")}\n`;
  }
}

function family(name: string, kind: string, help: string, samples: ReadonlyMap<string, number>): string {
  if (samples.size === 0) return "";
  const lines = Array.from(samples, ([key, value]) => `${name}${key === "" ? "" : `{${key}}`} ${value}`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n${lines.join("\n")}\n`;
}

function add(samples: Map<string, number>, key: string, value: number): void {
  const name = samples.has(key) || samples.size < MAX_SERIES ? key : otherOf(key);
  samples.set(name, (samples.get(name) ?? 0) + value);
}

function known<T>(map: Map<string, T>, key: string, make: () => T): T {
  const name = map.has(key) || map.size < MAX_SERIES ? key : otherOf(key);
  let value = map.get(name);
  if (value === undefined) map.set(name, (value = make()));
  return value;
}

/** The labels with "other" for what clients choose. */
function otherOf(key: string): string {
  return key.replaceAll(/(provider|model)="(?:[^"\\]|\\.)*"/g, '$1="other"');
}

function labels(values: Readonly<Record<string, unknown>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}="${labelText(value)}"`)
    .join(",");
}

/** Backslash, quote and line break are escaped. */
function labelText(value: unknown): string {
  const text = typeof value === "number" || typeof value === "string" ? String(value) : "";
  return text.slice(0, MAX_LABEL_CHARS).toWellFormed().replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
