// What differs between a terminal and a pipe: colour, width, and a reader that leaves.

import { styleText } from "node:util";

/** A stream that text is shown on. */
export type Screen = NodeJS.WriteStream;

/** Formats that are used; all of them are readable on dark and on light backgrounds. */
export type Paint = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

const WIDTH = { piped: 80, least: 60, most: 120 } as const;

/** Text in a colour, if the stream shows colours: on a terminal, or as NO_COLOR and FORCE_COLOR say. */
export function paint(stream: Screen, format: Paint, text: string): string {
  return styleText(format, text, { stream });
}

/** Columns to lay text out for. */
export function columnsOf(stream: Screen): number {
  if (!stream.isTTY) return WIDTH.piped;
  return Math.min(Math.max(stream.columns, WIDTH.least), WIDTH.most);
}

/** Text that a module chose, safe for a terminal: nothing in it can move the cursor or turn the line around. */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`);
}

/** JSON that is safe for a terminal, too: what JSON leaves as it is and a terminal acts on is escaped. */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value, (_key, member: unknown) => (typeof member === "bigint" ? member.toString() : member));
  return text.replace(/[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Cuts text to a width, with an ellipsis where something is missing. */
export function shorten(text: string, width: number): string {
  const chars = Array.from(text);
  return chars.length <= width ? text : `${chars.slice(0, Math.max(0, width - 1)).join("")}…`;
}

/** Breaks text at spaces into lines of at most `width` characters; a longer word stays whole. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/**
 * Ends the process quietly when the reader of a pipe has gone, as in `| head -1`; any other failure to write to stdout,
 * such as a full disk, is said and makes the exit code 1.
 */
export function watchForErrors(stream: Screen): void {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit();
    process.exitCode = 1;
    if (stream === process.stdout) process.stderr.write(`mortise: cannot write the output: ${error.message}\n`);
  });
}
