// Reads SQL as text, without a database: its pieces, and its shape without literals.

/** One piece of SQL that means something. */
export interface SqlToken {
  readonly kind: "word" | "quoted" | "literal" | "mark";
  /** Words in lower case, quoted names without their quotes, marks as they are. */
  readonly text: string;
}

const SPACE = /\s+/y;
const WORD = /[\p{L}_][\p{L}\p{N}_$]*/uy;
const NUMBER = /(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)/y;
const PARAMETER = /\$\d+|\?\d*|:[a-zA-Z_]\w*/y;
const DOLLAR = /\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$/uy;
const OPERATOR = /::|<=|>=|<>|!=|\|\||->>|->|[^]/uy;

/**
 * The shape of a statement: literals and parameters are `?`, comments are gone, spaces are single, and what is not quoted is
 * in lower case. The same for statements that differ in nothing else.
 */
export function normalizeSql(sql: string): string {
  const tokens = [...tokensOf(sql)];
  while (tokens.at(-1)?.text === ";" && tokens.at(-1)?.kind === "mark") tokens.pop();
  let text = "";
  let before: SqlToken | undefined;
  for (const token of tokens) {
    const shown = token.kind === "literal" ? "?" : token.kind === "quoted" ? `"${token.text.replaceAll('"', '""')}"` : token.text;
    text += before === undefined || isTight(before, token) ? shown : ` ${shown}`;
    before = token;
  }
  return text;
}

/** Marks that stand close to what is before or after them. */
function isTight(before: SqlToken, token: SqlToken): boolean {
  const isMark = ({ kind, text }: SqlToken, marks: string): boolean => kind === "mark" && marks.includes(text);
  return (
    isMark(token, ".,;)]") || isMark(before, ".([") || token.text === "::" || before.text === "::" || (isMark(token, "([") && before.kind === "word")
  );
}

/** Cuts SQL into pieces; spaces and comments are left out. Whatever is not closed ends with the text. */
export function* tokensOf(sql: string): Generator<SqlToken> {
  let at = 0;
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(sql)?.[0];
    at += found?.length ?? 0;
    return found;
  };
  while (at < sql.length) {
    if (match(SPACE) !== undefined) continue;
    const char = sql[at] as string;
    if (sql.startsWith("--", at)) at = after(sql, "\n", at + 2);
    else if (sql.startsWith("/*", at)) at = afterComment(sql, at);
    else if (char === "'") {
      at = afterQuoted(sql, at, "'", false);
      yield { kind: "literal", text: "?" };
    } else if (char === '"') {
      const end = afterQuoted(sql, at, '"', false);
      yield { kind: "quoted", text: unquoted(sql.slice(at, end)) };
      at = end;
    } else if (match(PARAMETER) !== undefined) yield { kind: "literal", text: "?" };
    else {
      const dollar = match(DOLLAR);
      if (dollar !== undefined) {
        at = after(sql, dollar, at);
        yield { kind: "literal", text: "?" };
        continue;
      }
      const word = match(WORD);
      if (word !== undefined) {
        // U&"…" is a name with escapes, and U&'…' a literal; E'…', B'…', X'…' and N'…' are literals, too.
        if (/^u$/i.test(word) && (sql.startsWith('&"', at) || sql.startsWith("&'", at))) {
          const quote = sql[at + 1] as string;
          const end = afterQuoted(sql, at + 1, quote, false);
          yield quote === '"' ? { kind: "quoted", text: unescaped(unquoted(sql.slice(at + 1, end))) } : { kind: "literal", text: "?" };
          at = end;
        } else if (/^[ebxn]$/i.test(word) && sql[at] === "'") {
          at = afterQuoted(sql, at, "'", word === "e" || word === "E");
          yield { kind: "literal", text: "?" };
        } else yield { kind: "word", text: word.toLowerCase() };
      } else if (match(NUMBER) !== undefined) yield { kind: "literal", text: "?" };
      else yield { kind: "mark", text: match(OPERATOR) ?? "" };
    }
  }
}

function after(sql: string, mark: string, from: number): number {
  const end = sql.indexOf(mark, from);
  return end < 0 ? sql.length : end + mark.length;
}

/** Comments of PostgreSQL hold comments. */
function afterComment(sql: string, start: number): number {
  const mark = /\/\*|\*\//g;
  mark.lastIndex = start;
  let depth = 0;
  for (let found = mark.exec(sql); found !== null; found = mark.exec(sql)) {
    depth += found[0] === "/*" ? 1 : -1;
    if (depth === 0) return mark.lastIndex;
  }
  return sql.length;
}

/** A quote that is doubled, or after a backslash where that counts, does not end the text. */
function afterQuoted(sql: string, start: number, quote: string, backslash: boolean): number {
  for (let at = start + 1; at < sql.length; at++) {
    if (backslash && sql[at] === "\\") at++;
    else if (sql[at] === quote) {
      if (sql[at + 1] !== quote) return at + 1;
      at++;
    }
  }
  return sql.length;
}

function unquoted(name: string): string {
  return name.slice(1, name.length > 1 && name.endsWith('"') ? -1 : undefined).replaceAll('""', '"');
}

function unescaped(name: string): string {
  return name.replace(/\\(?:\\|([0-9a-fA-F]{4})|\+([0-9a-fA-F]{6}))/g, (whole, short?: string, long?: string) => {
    const code = Number.parseInt(short ?? long ?? "", 16);
    return code <= 0x10_ffff ? String.fromCodePoint(code) : whole === "\\\\" ? "\\" : whole;
  });
}
