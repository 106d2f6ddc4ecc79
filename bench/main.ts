// Command `npm run bench`: measures the rows of docs/benchmarks.md and says which goals are reached.

import { readFile, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";

import { type Effort, collectGarbage } from "./measure.ts";
import { type Row, type RowReport, toMarkdown, toText } from "./report.ts";
import { CALL, ECHO, SCAN } from "./row-call.ts";
import { ABI } from "./row-abi.ts";
import { ASYNC } from "./row-async.ts";
import { DEADLINE } from "./row-deadline.ts";
import { GATEWAY } from "./row-gateway.ts";
import { HOOKS_ROW } from "./row-hooks.ts";
import { IDLE } from "./row-idle.ts";
import { LOAD } from "./row-load.ts";
import { METERING } from "./row-metering.ts";
import { PLUGIN_CALLS } from "./row-plugin-calls.ts";
import { RELOAD_ROW } from "./row-reload.ts";
import { SERVICE } from "./row-services.ts";

const ROWS: readonly Row[] = [CALL, ECHO, SCAN, ASYNC, ABI, HOOKS_ROW, SERVICE, PLUGIN_CALLS, RELOAD_ROW, METERING, LOAD, IDLE, DEADLINE, GATEWAY];
const PAGE = new URL("../docs/benchmarks.md", import.meta.url);
const RESULTS_MARK = "<!-- results: written by `npm run bench -- --write` -->";

const FULL: Effort = { rounds: 15, slices: 11, sliceMs: 4, warmUpMs: 400 };
const QUICK: Effort = { rounds: 5, slices: 7, sliceMs: 2, warmUpMs: 150 };

const USAGE = `Usage: npm run bench -- [options]

  --only ROW   run one row, may be repeated: ${ROWS.map(({ name }) => name).join(", ")}
  --quick      fewer and shorter rounds: a first look, not a result
  --json       print JSON
  --write      put the results into docs/benchmarks.md; rows that were not run keep theirs
  --help       this text`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: "string", multiple: true, default: [] },
      quick: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  for (const name of values.only) {
    if (!ROWS.some((row) => row.name === name))
      throw new RangeError(`There is no row "${name}"; there are ${ROWS.map((row) => row.name).join(", ")}`);
  }
  const rows = values.only.length === 0 ? ROWS : ROWS.filter(({ name }) => values.only.includes(name));
  const reports: RowReport[] = [];
  for (const row of rows) {
    collectGarbage();
    const report = { row, results: await row.run({ effort: values.quick ? QUICK : FULL, quick: values.quick }) };
    reports.push(report);
    if (!values.json) console.log(toText(report));
  }
  if (values.json) {
    console.log(
      JSON.stringify({ node: process.version, rows: reports.map(({ row, results }) => ({ row: row.name, title: row.title, results })) }, null, 2),
    );
  }
  const goals = reports.flatMap(({ results }) => results.flatMap(({ reached }) => reached ?? []));
  if (!values.json)
    console.log(
      `${goals.filter(Boolean).length} of ${goals.length} goals reached${values.quick ? " (a quick run: a first look, not a result)" : ""}`,
    );
  if (values.write) await writeResults(reports, values.quick);
}

/** Each row has a section, which says when it was run; those of other rows stay as they are. */
async function writeResults(reports: readonly RowReport[], quick: boolean): Promise<void> {
  const page = await readFile(PAGE, "utf8");
  const [before = "", results = ""] = page.split(RESULTS_MARK);
  const method = quick ? "a quick run, not to be quoted" : "a full run";
  const when = `Node ${process.version}, ${method}, ${new Date().toISOString().slice(0, 10)}.`;
  const sections = ROWS.flatMap((row) => {
    const report = reports.find((each) => each.row === row);
    const heading = `### ${row.name}: `;
    if (report !== undefined) return toMarkdown(report).replace("\n\n", `\n\n${when}\n\n`);
    return results
      .split(/^(?=### )/m)
      .filter((section) => section.startsWith(heading))
      .map((section) => `${section.trimEnd()}\n`);
  });
  await writeFile(PAGE, `${before}${RESULTS_MARK}\n\n${sections.join("\n")}`);
}

await main();
