// YAML 1.2, read by the package yaml, which is loaded when the first text of the kind comes; less of it than there is.

import type { Node, ParsedNode } from "yaml";

import { type Place, type TextPosition, quoted } from "./place.ts";
import type { FailAtPosition } from "./toml-reader.ts";

/** Characters of one text: the parser takes about two microseconds for each, and cannot be interrupted. */
const MAX_CHARS = 64 << 10;
/** Deepest nesting, aliases followed. */
const MAX_DEPTH = 32;
const TOO_DEEP = `there are more than ${MAX_DEPTH} levels`;
/** Values after every alias has been replaced by what it stands for. */
const MAX_VALUES = 20_000;

/** A text as values and the places where they stand. */
export interface YamlText {
  /** Mappings have no prototype. */
  readonly value: unknown;
  readonly locate: (place: Place) => TextPosition | undefined;
}

/**
 * Reads one YAML document. Refused are keys that are given twice or are not text, tags of any kind, the rules of YAML 1.1,
 * and aliases that would make it large.
 */
export async function parseYaml(text: string, fail: FailAtPosition): Promise<YamlText> {
  if (text.length > MAX_CHARS) fail(`it has ${text.length} characters, but YAML may have ${MAX_CHARS}`, undefined);
  const yaml = await import("yaml");
  const lines = new yaml.LineCounter();
  const positionOf = (offset: number): TextPosition => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const document = parse();
  const [problem] = [...document.errors, ...document.warnings];
  if (problem?.code === "RESOURCE_EXHAUSTION") fail(TOO_DEEP, positionOf(problem.pos[0]));
  if (problem?.code === "MULTIPLE_DOCS") fail("a second document begins, where one is all there may be", positionOf(problem.pos[0]));
  if (problem !== undefined) fail(firstLine(problem.message), positionOf(problem.pos[0]));
  if (document.directives?.yaml.version !== "1.2") fail("it asks for rules of an older YAML; remove the directive", { line: 1, column: 1 });

  const anchors = new Map<string, Node>();
  const offsets = new Map<string, number>();
  let left = MAX_VALUES;
  return {
    value: convert(document.contents, []),
    locate: (place) => {
      const offset = offsets.get(JSON.stringify(place));
      return offset === undefined ? undefined : positionOf(offset);
    },
  };

  function parse(): ReturnType<typeof yaml.parseDocument<ParsedNode>> {
    try {
      // Keys that are given twice are looked for below, where it takes no time for each pair of keys.
      return yaml.parseDocument(text, {
        version: "1.2",
        schema: "core",
        resolveKnownTags: false,
        merge: false,
        stringKeys: true,
        uniqueKeys: false,
        prettyErrors: false,
        lineCounter: lines,
        logLevel: "error",
      });
    } catch (error) {
      return fail(firstLine(error instanceof Error ? error.message : String(error)), undefined);
    }
  }

  function convert(given: unknown, place: Place): unknown {
    if (given === null || given === undefined) return null;
    const node = given as Node;
    const at = positionOf(node.range?.[0] ?? 0);
    if (left-- === 0) fail(`it has more than ${MAX_VALUES} values; aliases count as what they stand for`, at);
    if (place.length > MAX_DEPTH) fail(TOO_DEEP, at);
    if (yaml.isAlias(node)) {
      const target = anchors.get(node.source);
      return target === undefined ? fail(`the alias ${quoted(`*${node.source}`)} stands for nothing above it`, at) : convert(target, place);
    }
    if (yaml.isScalar(node)) {
      if (node.anchor !== undefined) anchors.set(node.anchor, node);
      return node.value;
    }
    if (!yaml.isCollection(node)) return fail("there is a value of an unknown kind", at);
    const value = yaml.isMap(node) ? convertMap(node.items, place) : node.items.map((item, index) => convertMember(item, item, [...place, index]));
    // Only now, so that nothing can stand for what it is part of.
    if (node.anchor !== undefined) anchors.set(node.anchor, node);
    return value;
  }

  function convertMap(items: readonly { readonly key: unknown; readonly value: unknown }[], place: Place): Record<string, unknown> {
    const map = Object.create(null) as Record<string, unknown>;
    for (const { key, value } of items) {
      const at = positionOf(yaml.isNode(key) ? (key.range?.[0] ?? 0) : 0);
      const name = yaml.isScalar(key) ? key.value : undefined;
      if (typeof name !== "string") return fail("a key is not text", at);
      if (Object.hasOwn(map, name)) return fail(`the key ${quoted(name)} is given twice`, at);
      map[name] = convertMember(key, value, [...place, name]);
    }
    return map;
  }

  function convertMember(stands: unknown, value: unknown, place: Place): unknown {
    if (yaml.isNode(stands)) offsets.set(JSON.stringify(place), stands.range?.[0] ?? 0);
    return convert(value, place);
  }
}

function firstLine(message: string): string {
  const [first = ""] = message.split("\n", 1);
  return first.replace(/[.:]+$/, "");
}
