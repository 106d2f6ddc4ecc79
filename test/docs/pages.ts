// The pages of the repository, and what the tests take out of them.

import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { ROOT } from "../cli/run-cli.ts";

/** A page by its path from the root, with slashes. */
export interface Page {
  readonly path: string;
  readonly text: string;
}

/** A fenced block: what stands behind the fence, its lines, and where they are. */
export interface CodeBlock {
  readonly info: string;
  readonly body: string;
  /** Line of the opening fence, from 1. */
  readonly line: number;
}

/** A command of a console block, and what it is said to print. */
export interface ShownCommand {
  readonly command: string;
  readonly output: string;
}

/** Reads one page. */
export function readPage(path: string): Page {
  return { path, text: readFileSync(join(ROOT, path), "utf8") };
}

/** Every page. */
export const PAGES: readonly Page[] = globSync(["*.md", "docs/*.md", "guests/README.md"], { cwd: ROOT })
  .map((path) => readPage(path.replaceAll("\\", "/")))
  .toSorted((a, b) => (a.path < b.path ? -1 : 1));

/** The fenced blocks of a page. */
export function codeBlocks({ text }: Page): CodeBlock[] {
  const blocks: CodeBlock[] = [];
  let open: { info: string; line: number; body: string[] } | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    const fence = /^```(.*)$/.exec(line);
    if (fence === null) open?.body.push(line);
    else if (open === undefined) open = { info: (fence[1] ?? "").trim(), line: index + 1, body: [] };
    else {
      blocks.push({ info: open.info, line: open.line, body: open.body.map((each) => `${each}\n`).join("") });
      open = undefined;
    }
  }
  return blocks;
}

/** The page without its fenced blocks. */
export function prose({ text }: Page): string {
  return text.replaceAll(/^```[^]*?^```$/gm, "");
}

/** The blocks that are to be run, each with what it is said to print, if the next block says so. */
export function runnableBlocks(page: Page): { block: CodeBlock; output: string | undefined }[] {
  const blocks = codeBlocks(page);
  return blocks.flatMap((block, index) => {
    const next = blocks[index + 1];
    return block.info === "ts run" ? [{ block, output: next?.info === "text" ? next.body : undefined }] : [];
  });
}

/** The commands of a page's console blocks. */
export function shownCommands(page: Page): ShownCommand[] {
  const shown: { command: string; output: string[] }[] = [];
  for (const { info, body } of codeBlocks(page)) {
    if (info !== "console") continue;
    for (const line of body.split("\n")) {
      if (line.startsWith("$ ")) shown.push({ command: line.slice(2), output: [] });
      else shown.at(-1)?.output.push(line);
    }
  }
  return shown.map(({ command, output }) => ({ command, output: `${output.join("\n").trimEnd()}\n` }));
}

/** The anchors of a page's headings, as GitHub makes them. */
export function anchors(page: Page): Set<string> {
  const headings = prose(page).matchAll(/^#{1,6} (.+)$/gm);
  return new Set(
    [...headings].map(([, title = ""]) =>
      title
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}
