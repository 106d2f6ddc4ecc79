// Which attributes of a request a plugin sees, and which it may change.

import type { MortiseError } from "../api/errors.ts";
import { invalidOption } from "../api/limits.ts";
import { type Permissions, permissionDenied } from "../api/permissions.ts";
import { ATTRIBUTE_LIMITS, type RequestContext } from "../api/request.ts";
import type { AttributeChanges } from "./decision.ts";

/** Says of an attribute's name whether it is among those that a permission lists. */
type NameTest = (name: string) => boolean;

/** What a plugin may do with attributes, compiled from {@link Permissions}. */
export interface AttributeAccess {
  /** The attributes of a request that the plugin sees. */
  shown(request: RequestContext): ReadonlyMap<string, string>;
  /** True if these are still the attributes of a request that the plugin sees. */
  sees(request: RequestContext, attributes: ReadonlyMap<string, string>): boolean;
  mayWrite(name: string): boolean;
}

const NONE: ReadonlyMap<string, string> = new Map();
const never: NameTest = () => false;

/**
 * Compiles the permission `attributes`.
 *
 * @throws MortiseError MORTISE_INVALID_OPTION
 */
export function compileAccess({ read = [], write = [] }: NonNullable<Permissions["attributes"]> = {}): AttributeAccess {
  const mayRead = compileNames(read, "read");
  const mayWrite = compileNames(write, "write");
  if (mayRead === never) return { shown: () => NONE, sees: (_request, attributes) => attributes.size === 0, mayWrite };
  const all = read.includes("*");
  return {
    sees({ attributes }, known) {
      if (all && attributes.size !== known.size) return false;
      let seen = 0;
      for (const [name, value] of attributes) {
        if (!all && !mayRead(name)) continue;
        if (known.get(name) !== value) return false;
        seen++;
      }
      return seen === known.size;
    },
    shown({ attributes }) {
      if (attributes.size === 0) return NONE;
      if (all) return new Map(attributes);
      const seen = new Map<string, string>();
      for (const [name, value] of attributes) if (mayRead(name)) seen.set(name, value);
      return seen;
    },
    mayWrite,
  };
}

function compileNames(patterns: readonly string[], kind: "read" | "write"): NameTest {
  const option = `permissions.attributes.${kind}`;
  if (!Array.isArray(patterns)) throw invalidOption(option, typeof patterns, "an array of names");
  const names = new Set<string>();
  const prefixes: string[] = [];
  for (const pattern of patterns as readonly unknown[]) {
    if (typeof pattern !== "string" || pattern === "" || pattern.slice(0, -1).includes("*"))
      throw invalidOption(option, String(pattern), 'names, with "*" at the end at most');
    if (pattern.endsWith("*")) prefixes.push(pattern.slice(0, -1));
    else names.add(pattern);
  }
  if (patterns.length === 0) return never;
  return (name) => names.has(name) || prefixes.some((prefix) => name.startsWith(prefix));
}

/**
 * Changes a request's attributes as a plugin's answer says: all of them, or none if one is refused.
 *
 * @throws MortiseError MORTISE_PERMISSION for an attribute that the plugin may not write; what `fault` makes if there
 *   would be too many, or too long ones
 */
export function writeAttributes(
  { attributes }: RequestContext,
  access: AttributeAccess,
  changes: AttributeChanges,
  who: { readonly plugin: string; readonly function: string },
  fault: (reason: string) => MortiseError,
): void {
  const { maxAttributes, maxNameBytes, maxValueBytes } = ATTRIBUTE_LIMITS;
  const entries = Object.entries(changes);
  let added = 0;
  for (const [name, value] of entries) {
    if (!access.mayWrite(name)) throw permissionDenied(who.plugin, who.function, `writing attribute "${name}"`, "attributes", grantOf(name));
    if (name === "" || Buffer.byteLength(name) > maxNameBytes) throw fault(`has an attribute whose name has not between 1 and ${maxNameBytes} bytes`);
    if (value !== null && Buffer.byteLength(value) > maxValueBytes) throw fault(`has an attribute of more than ${maxValueBytes} bytes`);
    if (value !== null && !attributes.has(name)) added++;
  }
  if (added > 0 && attributes.size + added > maxAttributes) throw fault(`makes more than ${maxAttributes} attributes of the request`);
  for (const [name, value] of entries) {
    if (value === null) attributes.delete(name);
    else attributes.set(name, value);
  }
}

/** What would grant it, as it is written in mortise.toml. */
function grantOf(name: string): string {
  return `{ write = [${JSON.stringify(name)}] }`;
}
