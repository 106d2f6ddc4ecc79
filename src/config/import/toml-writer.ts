// Writes a draft as mortise.toml, with comments.

import { printable } from "../../api/errors.ts";
import type { Draft, DraftPlugin } from "./draft.ts";

/** The text of a draft, and the same as an object. Values are text, finite numbers, true, false, arrays and tables. */
export function writeDraft(
  { tables, providers = [], plugins }: Draft,
  heading: readonly string[],
): { readonly toml: string; readonly config: Record<string, unknown> } {
  const blocks = [heading.map(commentLine).join("")];
  for (const [name, table] of Object.entries(tables)) blocks.push(tableBlocks([name], table as Record<string, unknown>).join("\n"));
  for (const provider of providers) blocks.push(elementBlock(["gateway", "providers"], provider));
  for (const plugin of plugins) blocks.push(elementBlock(["plugins"], plugin));
  const asked = providers.flatMap(({ table }) => table ?? []);
  const listed = plugins.flatMap(({ table }) => table ?? []);
  const config = { ...tables, ...(asked.length > 0 && { gateway: { providers: asked } }), ...(listed.length > 0 && { plugins: listed }) };
  return { toml: blocks.join("\n"), config };
}

/** An element of a list of tables. */
function elementBlock(path: readonly string[], { comments, table }: DraftPlugin): string {
  const lines = comments.map(commentLine).join("");
  if (table === undefined) return lines;
  const [first = "", ...rest] = tableBlocks(path, table, true);
  return [lines + first, ...rest].join("\n");
}

/** A table, then each table in it; deeper ones stand in one line. */
function tableBlocks(path: readonly string[], table: Readonly<Record<string, unknown>>, isElement: boolean = false): string[] {
  const header = path.map(keyText).join(".");
  const entries = Object.entries(table);
  const inner = path.length === 1 || isElement ? entries.filter(([, value]) => isTable(value) && Object.keys(value).length > 0) : [];
  const own = entries.filter((entry) => !inner.includes(entry)).map(([key, value]) => `${keyText(key)} = ${valueText(value)}\n`);
  const block = own.length === 0 && inner.length > 0 && !isElement ? [] : [`${isElement ? `[[${header}]]` : `[${header}]`}\n${own.join("")}`];
  return [...block, ...inner.flatMap(([key, value]) => tableBlocks([...path, key], value as Record<string, unknown>))];
}

function commentLine(text: string): string {
  return text === "" ? "#\n" : `# ${printable(text, 1000)}\n`;
}

function keyText(key: string): string {
  return /^[A-Za-z0-9_-]+$/.test(key) ? key : textOf(key);
}

function valueText(value: unknown): string {
  if (typeof value === "string") return textOf(value);
  if (Array.isArray(value)) return `[${value.map(valueText).join(", ")}]`;
  if (!isTable(value)) return String(value);
  const members = Object.entries(value).map(([key, member]) => `${keyText(key)} = ${valueText(member)}`);
  return members.length === 0 ? "{}" : `{ ${members.join(", ")} }`;
}

/** JSON's escapes are TOML's. What acts on a terminal or turns a line around is escaped as well. */
function textOf(text: string): string {
  const escape = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(text).replace(/[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, escape);
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
