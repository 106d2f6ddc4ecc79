// Keeps the variables of a plugin the same on both sides of a wall: what changed on one is sent to the other.

import type { Section, VariableChange } from "./protocol.ts";

/** Bytes that a variable counts beyond its name and value, as limits.varBytes has it. */
const OVERHEAD = 48;

/** Variables that are shared with the other side, and what they count. */
export interface Variables {
  readonly variables: Map<string, Section>;
  variableBytes: number;
}

/** What has to be sent so that the other side has the same. */
export interface VariableChanges {
  readonly changes: readonly VariableChange[];
  readonly values: readonly Section[];
}

/** One side's view of what the other has. Values are replaced and never written to, so that they compare by identity. */
export class VariableMirror {
  readonly #here: Variables;
  readonly #there = new Map<string, Section>();

  constructor(here: Variables) {
    this.#here = here;
  }

  /** What changed here since the other side last heard of it; undefined if nothing did. */
  takeChanges(): VariableChanges | undefined {
    const { variables } = this.#here;
    if (variables.size === 0 && this.#there.size === 0) return undefined;
    const changes: VariableChange[] = [];
    const values: Section[] = [];
    for (const name of this.#there.keys()) {
      if (variables.has(name)) continue;
      changes.push([name, 0]);
      this.#there.delete(name);
    }
    for (const [name, value] of variables) {
      if (this.#there.get(name) === value) continue;
      changes.push([name, 1]);
      // A copy: what is sent is given away.
      values.push(value.slice());
      this.#there.set(name, value);
    }
    return changes.length === 0 ? undefined : { changes, values };
  }

  /**
   * Takes over what changed on the other side.
   *
   * @returns false if they then count more than `maxBytes`, in which case nothing is taken over
   */
  apply(changes: readonly VariableChange[], values: readonly Section[], maxBytes: number): boolean {
    const here = this.#here;
    const next = new Map<string, Section | undefined>();
    let bytes = here.variableBytes;
    let at = 0;
    for (const [name, kept] of changes) {
      const old = next.has(name) ? next.get(name) : here.variables.get(name);
      const value = kept === 1 ? values[at++] : undefined;
      bytes += sizeOf(name, value) - sizeOf(name, old);
      next.set(name, value);
    }
    if (bytes > maxBytes) return false;
    for (const [name, value] of next) {
      if (value === undefined) {
        here.variables.delete(name);
        this.#there.delete(name);
      } else {
        here.variables.set(name, value);
        this.#there.set(name, value);
      }
    }
    here.variableBytes = bytes;
    return true;
  }

  /** Forgets what the other side has: it is gone, or starts anew. */
  reset(): void {
    this.#there.clear();
  }
}

function sizeOf(name: string, value: Section | undefined): number {
  return value === undefined ? 0 : Buffer.byteLength(name, "utf8") + OVERHEAD + value.length;
}
