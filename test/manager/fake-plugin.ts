// A plugin without a guest, for tests that need many thousands of them: it keeps what a pool promises, and notes what is done to it.

import { MortiseError } from "../../src/api/errors.ts";
import { PluginOutput } from "../../src/api/output.ts";
import type { Plugin } from "../../src/host/plugin.ts";
import type { PoolHoldings } from "../../src/host/pool.ts";

/** How a call of a {@link FakePlugin} ends. */
export type Mode = "answer" | "trap" | "hold";

/** Answers with its own name, at once or later; or traps. */
export class FakePlugin {
  readonly name: string;
  readonly version: string;
  readonly label: string;
  readonly abi = "extism";
  readonly digest = "";
  readonly declared: { readonly filters: Readonly<Record<string, never>> } = { filters: {} };
  readonly isolation = "inline";
  readonly timeoutMs = 1000;
  readonly memoryBytes = 0;
  readonly heldMs = 0;
  readonly holdings: PoolHoldings = { instances: 1, idle: 0, memoryBytes: 0, idleBytes: 0 };
  /** How the next call ends; one that is held is ended by {@link release}. */
  mode: Mode = "answer";
  calls = 0;
  running = 0;
  closed = false;
  readonly #held: ((aborted: boolean) => void)[] = [];
  #idle: (() => void)[] = [];

  /** @param name of the plugin, which has the function `check_` and that */
  constructor(name: string, version: string, label: string) {
    this.name = name;
    this.version = version;
    this.label = label;
  }

  /** As the host sees it. */
  get plugin(): Plugin {
    return this as unknown as Plugin;
  }

  has(fn: string): boolean {
    return fn === `check_${this.name}`;
  }

  startGuarded(fn: string): PluginOutput | Promise<PluginOutput> {
    const who = { plugin: this.name, function: fn };
    if (this.closed) throw new MortiseError("MORTISE_CLOSED", who);
    this.calls++;
    if (this.mode === "trap") throw new MortiseError("MORTISE_TRAP", { ...who, reason: "unreachable" });
    const output = new PluginOutput(Buffer.from(JSON.stringify({ action: "answer", value: this.label })), this.name, fn);
    if (this.mode === "answer") return output;
    this.running++;
    return new Promise((resolve, reject) => {
      this.#held.push((aborted) => {
        this.running--;
        if (aborted) reject(new MortiseError("MORTISE_CLOSED", who));
        else resolve(output);
        if (this.running === 0) for (const done of this.#idle.splice(0)) done();
      });
    });
  }

  /** Ends the call that has been held for longest. */
  release(): void {
    this.#held.shift()?.(false);
  }

  freeIdle(): number {
    return 0;
  }

  govern(): void {}

  redact(text: string): string {
    return text;
  }

  close({ abort = false } = {}): Promise<void> {
    this.closed = true;
    if (abort) for (const end of this.#held.splice(0)) end(true);
    return this.running === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }
}
