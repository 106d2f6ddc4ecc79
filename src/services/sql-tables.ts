// Finds the tables that SQL names, without a database.

import { type SqlToken, tokensOf } from "./sql-text.ts";

/** Levels of parentheses in which common table expressions are looked for. */
const MAX_LEVELS = 100;

/** What is known of the text between two parentheses, or of the whole. */
interface Level {
  /** It is a statement, and not the arguments of a function: its `from` names tables. */
  statement: boolean;
  /** Commas go on to another table. */
  list: boolean;
  /** Names of common table expressions that are in force here and further in. */
  readonly names: Set<string>;
  /** Where a `with` stands: before a name, after one, or after the expression. */
  with: "name" | "body" | "after" | undefined;
  recursive: boolean;
  name: string;
  /** It is the expression of a `with` one level up. */
  readonly isBody: boolean;
}

/** Words that may stand between a word that announces a table and the table. */
const BETWEEN: ReadonlySet<string> = new Set(["only", "lateral", "if", "not", "exists", "table"]);
/** Words after which commas no longer separate tables. */
const ENDS_LIST: ReadonlySet<string> = new Set(
  "where group order having limit offset fetch union except intersect set returning window for values select".split(" "),
);

/**
 * Tables that a statement names, in the order in which they come, each once: unquoted names in lower case, with their schema
 * if it is stated. Common table expressions and functions are left out. It reads words, not meaning, and rather names too
 * much than too little; but what a view, a function or a trigger uses is not seen, and statements that change the schema
 * may name tables in other ways.
 */
export function tablesOf(sql: string): string[] {
  const tokens = [...tokensOf(sql)];
  const tables = new Set<string>();
  let levels: Level[] = [newLevel(false, false)];
  let expected = false;
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at] as SqlToken;
    const level = levels[levels.length - 1] as Level;
    if (token.kind === "mark") {
      if (token.text === "(") levels.push(newLevel(level.with === "body" && isBodyStart(tokens[at - 1]), expected));
      else if (token.text === ")") {
        if (levels.length > 1) endLevel(levels);
        expected = false;
      } else if (token.text === ",") {
        if (level.with === "after") level.with = "name";
        expected = level.list;
      } else {
        if (token.text === ";") levels = [newLevel(false, false)];
        expected = false;
      }
      continue;
    }
    if (readWith(level, token)) continue;
    const announced = token.kind === "word" ? announcement(tokens, at, level) : undefined;
    if (expected && announced === undefined && !(token.kind === "word" && (ENDS_LIST.has(token.text) || BETWEEN.has(token.text)))) {
      const { name, end } = nameAt(tokens, at);
      // A function, unless what comes in parentheses are the columns of a table.
      const isTable = tokens[end]?.text !== "(" || /^(?:into|copy|table|exists)$/.test(tokens[at - 1]?.text ?? "");
      // Names with a schema are none of an expression; nor does anybody nest as deep as would take long to look through.
      const isExpression = end === at + 1 && levels.length <= MAX_LEVELS && levels.some(({ names }) => names.has(name));
      if (isTable && !isExpression) tables.add(name);
      at = end - 1;
      expected = false;
    } else if (announced !== undefined) {
      expected = announced;
    } else if (token.kind === "word" && ENDS_LIST.has(token.text)) {
      level.list = false;
      expected = false;
      if (token.text === "select") level.statement = true;
    } else if (!(token.kind === "word" && BETWEEN.has(token.text))) expected = false;
  }
  return [...tables];
}

function newLevel(isBody: boolean, expected: boolean): Level {
  return { statement: expected, list: expected, names: new Set(), with: undefined, recursive: false, name: "", isBody };
}

/** An expression is in force after its end: before it, its name is that of a table, unless it is recursive. */
function endLevel(levels: Level[]): void {
  const ended = levels.pop();
  const level = levels[levels.length - 1] as Level;
  if (ended?.isBody !== true) return;
  level.names.add(level.name);
  level.with = "after";
}

function isBodyStart(before: SqlToken | undefined): boolean {
  return before?.text === "as" || before?.text === "materialized";
}

/** Takes the words of a `with` before an expression; true if the token was one. */
function readWith(level: Level, { kind, text }: SqlToken): boolean {
  if (level.with === "name") {
    if (kind === "word" && text === "recursive") {
      level.recursive = true;
      return true;
    }
    level.name = text;
    level.with = "body";
    if (level.recursive) level.names.add(text);
    return true;
  }
  if (level.with === "body") return true;
  if (level.with === "after") level.with = undefined;
  if (kind !== "word" || text !== "with") return false;
  level.with = "name";
  level.recursive = false;
  return true;
}

/** What a word says of what comes next: a table, none, or nothing about it. */
function announcement(tokens: readonly SqlToken[], at: number, level: Level): boolean | undefined {
  const before = tokens[at - 1]?.text ?? "";
  switch (tokens[at]?.text) {
    case "from":
      if (!level.statement || (before === "distinct" && /^(?:is|not)$/.test(tokens[at - 2]?.text ?? ""))) return undefined;
      level.list = true;
      return true;
    case "using":
      if (!level.statement || tokens[at + 1]?.text === "(") return undefined;
      level.list = true;
      return true;
    case "join":
      return true;
    case "update":
      if (/^(?:for|do|key)$/.test(before)) return undefined;
      level.statement = true;
      level.list = false;
      return true;
    case "delete":
    case "merge":
      level.statement = true;
      return undefined;
    case "into":
    case "copy":
      level.statement = true;
      level.list = false;
      return true;
    case "table":
    case "truncate":
      level.list = true;
      return true;
    default:
      return undefined;
  }
}

/** The name that begins at a token, with what follows after dots. */
function nameAt(tokens: readonly SqlToken[], start: number): { readonly name: string; readonly end: number } {
  const parts = [(tokens[start] as SqlToken).text];
  let end = start + 1;
  while (tokens[end]?.kind === "mark" && tokens[end]?.text === "." && tokens[end + 1] !== undefined && tokens[end + 1]?.kind !== "mark") {
    parts.push((tokens[end + 1] as SqlToken).text);
    end += 2;
  }
  return { name: parts.join("."), end };
}
