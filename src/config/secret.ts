// A value that a configuration names instead of holding it.

import { inspect } from "node:util";

/** Where a secret is: an environment variable, or a file. */
export type SecretKind = "env" | "file";

/**
 * A reference to a secret, as `{ env = "NAME" }` or `{ file = "path" }` of a configuration. It never holds the value, and
 * shows as `[secret env:NAME]` wherever it is printed.
 */
export class Secret {
  readonly kind: SecretKind;
  /** Name of the variable, or path of the file: absolute, or as it was written if the configuration has no folder. */
  readonly name: string;

  constructor(kind: SecretKind, name: string) {
    this.kind = kind;
    this.name = name;
    Object.freeze(this);
  }

  toString(): string {
    return `[secret ${this.kind}:${this.name}]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

/** The one key of a table that names a secret, or undefined for any other value. */
export function secretKindOf(value: unknown): SecretKind | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const [key, ...others] = Object.keys(value);
  return others.length === 0 && (key === "env" || key === "file") ? key : undefined;
}
