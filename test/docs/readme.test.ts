// What the pages say is so: their programs run, their commands print what is shown, and they name what there is.
// UPDATE_SAMPLES=1 writes the shown outputs anew.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join, posix } from "node:path";
import { after, describe, it } from "node:test";

import { ENV_TYPES } from "../../src/abi/extism/kernel.ts";
import { DEFAULT_LIMITS } from "../../src/api/limits.ts";
import { EXIT } from "../../src/cli/failure.ts";
import { ERRORS } from "../../src/index.ts";
import { ROOT, runCli } from "../cli/run-cli.ts";
import { PAGES, type Page, anchors, codeBlocks, prose, readPage, runnableBlocks, shownCommands } from "./pages.ts";
import { outputOf } from "./run-file.ts";

const UPDATE = process.env["UPDATE_SAMPLES"] === "1";
/** Inside the repository, so that `mortise` means its sources. */
const folder = join(ROOT, ".build", `docs-${process.pid}`);
after(() => rm(folder, { recursive: true, force: true }));

async function replaceIn(path: string, from: string, to: string): Promise<void> {
  if (from === to) return;
  const { text } = readPage(path);
  assert.ok(text.includes(from), `${path} has the text that is to be replaced`);
  await writeFile(
    join(ROOT, path),
    text.replace(from, () => to),
  );
}

/** Arguments of `mortise` as a shell would split them; double quotes are all that is understood. */
function argumentsOf(command: string): string[] {
  const words = [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
  const [program, ...rest] = words;
  if (program === "mortise") return rest;
  assert.deepEqual(words.slice(0, 5), ["npm", "run", "-s", "mortise", "--"], `the test can run "${command}"`);
  return words.slice(5);
}

/** Times differ from run to run. */
function withoutTimes(text: string): string {
  return text.replaceAll(/[\d.,]+ ms/g, "# ms").replaceAll(/"(load|call)Ms":[\d.]+/g, '"$1Ms":#');
}

/** What a terminal shows: it gets a newline where an output has none. */
async function shownBy(command: string): Promise<string> {
  const { stdout, stderr } = await runCli(argumentsOf(command));
  return stdout + (stdout === "" || stdout.endsWith("\n") ? "" : "\n") + stderr;
}

describe("The pages' programs", () => {
  for (const page of PAGES) {
    for (const { block, output } of runnableBlocks(page)) {
      it(`run: ${page.path}, line ${block.line}`, async () => {
        const file = join(folder, `${page.path.replaceAll(/[/.]/g, "-")}-${block.line}.ts`);
        await mkdir(dirname(file), { recursive: true });
        await writeFile(file, block.body);
        const printed = await outputOf(file);
        if (UPDATE && output !== undefined) await replaceIn(page.path, `\`\`\`text\n${output}\`\`\``, `\`\`\`text\n${printed}\`\`\``);
        else if (output !== undefined) assert.equal(printed, output);
      });
    }
  }

  it("are there in the README, with their output", () => {
    const blocks = runnableBlocks(readPage("README.md"));
    assert.ok(blocks.length >= 2 && blocks.every(({ output }) => output !== undefined));
  });
});

describe("The pages' commands", () => {
  for (const page of PAGES) {
    for (const { command, output } of shownCommands(page)) {
      it(`print what is shown: ${page.path}: ${command}`, async () => {
        const printed = await shownBy(command);
        const same = withoutTimes(printed) === withoutTimes(output);
        if (UPDATE && !same) await replaceIn(page.path, `$ ${command}\n${output}`, `$ ${command}\n${printed}`);
        else assert.equal(withoutTimes(printed), withoutTimes(output));
      });
    }
  }

  it("are the two that start everything, in the README", async () => {
    const { scripts } = JSON.parse(readPage("package.json").text) as { scripts: Readonly<Record<string, string>> };
    const [first] = codeBlocks(readPage("README.md"));
    assert.deepEqual([first?.info, first?.body], ["sh", "npm ci && npm start\nnpm ci && npm test\n"]);
    assert.ok(scripts["start"] !== undefined && scripts["test"] !== undefined);
  });

  it("name scripts that package.json has", () => {
    const { scripts } = JSON.parse(readPage("package.json").text) as { scripts: Readonly<Record<string, string>> };
    const named = PAGES.flatMap(({ path, text }) => [...text.matchAll(/npm run (?:-s )?([a-z]+)/g)].map(([, name = ""]) => ({ path, name })));
    assert.deepEqual(
      named.filter(({ name }) => !Object.hasOwn(scripts, name)),
      [],
    );
  });
});

describe("The pages' links", () => {
  for (const page of PAGES) {
    it(`lead to files and headings that exist: ${page.path}`, () => {
      const broken = [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)]
        .map(([, target = ""]) => target)
        .filter((target) => !/^[a-z]+:/.test(target) && !leadsSomewhere(page, target));
      assert.deepEqual(broken, []);
    });
  }
});

function leadsSomewhere(page: Page, target: string): boolean {
  const [file = "", anchor] = target.split("#");
  const path = file === "" ? page.path : posix.join(posix.dirname(page.path), file);
  if (!existsSync(join(ROOT, path))) return false;
  return anchor === undefined || anchors(readPage(path)).has(anchor);
}

/** The cells of every row whose first cell is one name in code, by that name; the name may be a link. */
function rowsByName(text: string): Map<string, string[]> {
  const rows = text.matchAll(/^\| \[?`([\w-]+)`(?:\]\([^)]*\))? \|(.*)\|$/gm);
  return new Map([...rows].map(([, name = "", rest = ""]) => [name, rest.split("|").map((cell) => cell.trim())]));
}

/** A default as the pages write it: `1,000`, `64 MiB`, `unlimited`. */
function amount(text: string): number {
  if (text === "unlimited") return Number.POSITIVE_INFINITY;
  const parts = /^([\d,]+)(?: (KiB|MiB))?$/.exec(text);
  if (parts === null) return Number.NaN;
  return Number(parts[1]?.replaceAll(",", "")) * { "": 1, KiB: 1024, MiB: 1024 * 1024 }[(parts[2] ?? "") as "" | "KiB" | "MiB"];
}

describe("Limits", () => {
  for (const path of ["docs/limits.md", "README.md"]) {
    it(`are all in ${path}, with their defaults and codes`, () => {
      const { text } = readPage(path);
      const section =
        path === "README.md" ? text.slice(text.indexOf("\n## Limits"), text.indexOf("\n## Any module")) : text.slice(0, text.indexOf("\n## "));
      const rows = rowsByName(section);
      const defaults = Object.fromEntries([...rows].map(([name, [value = ""]]) => [name, amount(value)]));
      assert.deepEqual(defaults, { ...DEFAULT_LIMITS });
      for (const [name, cells] of rows) {
        const code = cells.at(-1)?.replaceAll("`", "") ?? "";
        assert.ok(Object.hasOwn(ERRORS, code) || code.startsWith("none: "), `${name}: ${code}`);
      }
    });
  }

  it("that pages name exist, of plugins or of the gateway", () => {
    const page = readPage("docs/gateway.md").text;
    const ofGateway = rowsByName(page.slice(page.indexOf("\n### GatewayLimits"), page.indexOf("\n### ListenOptions")));
    assert.ok(ofGateway.has("bodyBytes"));
    const named = PAGES.flatMap(({ path, text }) => [...text.matchAll(/\blimits\.(\w+)/g)].map(([, name = ""]) => ({ path, name })));
    assert.deepEqual(
      named.filter(({ name }) => name !== "md" && name !== "ts" && !Object.hasOwn(DEFAULT_LIMITS, name) && !ofGateway.has(name)),
      [],
    );
  });
});

describe("Error codes that pages name", () => {
  it("exist", () => {
    const named = PAGES.flatMap(({ path, text }) => [...text.matchAll(/MORTISE_[A-Z_]+/g)].map(([code]) => ({ path, code })));
    assert.deepEqual(
      named.filter(({ code }) => !Object.hasOwn(ERRORS, code)),
      [],
    );
  });
});

describe("docs/cli.md", () => {
  const page = readPage("docs/cli.md");

  it("names every option that --help prints, and no other", async () => {
    const pages = await Promise.all(
      [
        ["--help"],
        ["serve", "--help"],
        ["chat", "--help"],
        ["call", "--help"],
        ["run", "--help"],
        ["inspect", "--help"],
        ["plugin", "import", "--help"],
        ["audit", "--help"],
        ["config", "check", "--help"],
        ["config", "show", "--help"],
      ].map((args) => runCli(args)),
    );
    const printed = pages.flatMap(({ stdout }) => [...stdout.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, option = ""]) => option));
    const named = [...prose(page).matchAll(/(--[a-z][a-z-]*)/g)].map(([option]) => option);
    assert.ok(printed.length > 10);
    assert.deepEqual([...new Set(named)].toSorted(), [...new Set(printed)].toSorted());
  });

  it("names every exit code", () => {
    const codes = [...page.text.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code));
    assert.deepEqual(codes, [...Object.values(EXIT), 130, 143]);
  });
});

describe("docs/extism.md", () => {
  it("names every function of the environment, and no other, with its type", () => {
    const { text } = readPage("docs/extism.md");
    const section = text.slice(text.indexOf("\n## The environment"), text.indexOf("\n## Memory"));
    const found: Record<string, string> = {};
    for (const [, names = "", types = ""] of section.matchAll(/^\| (`\w+`(?:, `\w+`)*) \| ([^|]+) \|/gm)) {
      const given = types.split(/, (?=\()/);
      for (const [index, name] of names.split(", ").entries()) found[name.replaceAll("`", "")] = given[index] ?? given[0] ?? "";
    }
    const expected = Object.entries(ENV_TYPES).map(([name, [params, results]]) => [
      name,
      `(${params.join(", ")})${results.length === 0 ? "" : ` → ${results.join(", ")}`}`,
    ]);
    assert.deepEqual(found, Object.fromEntries(expected));
  });
});
