// `mortise audit`: prints the decisions of an audit log, and says whether it is whole.

import { readFile } from "node:fs/promises";

import type { Command } from "commander";

import { MortiseError } from "../index.ts";
import type { AuditEntry } from "../telemetry/audit/entry.ts";
import type { AuditVerdict } from "../telemetry/audit/chain-check.ts";
import { readAudit } from "../telemetry/audit/read-audit.ts";
import { EXIT, exitCodeOf, printFailure, toMortiseError, usageError } from "./failure.ts";
import { fileProblem } from "./file-problem.ts";
import { printNote } from "./notes.ts";
import { jsonText, visible } from "./terminal.ts";

interface AuditFlags {
  readonly json?: boolean;
  readonly request?: string;
  readonly plugin?: string;
  readonly keyFile?: string;
}

const HELP = `
The file is what createAudit writes: lines of JSON, or a database of SQLite.
Files that were rotated away (FILE.1, FILE.2, …) are read first. The whole
log is checked in any case: if an entry was changed, left out or moved, that is
said on stderr, and the exit code is 1.

Examples:
  mortise audit audit.log
  mortise audit audit.log --request 7f3a --json | jq .reason`;

/** Adds the command to the program. */
export function defineAudit(program: Command, done: (exitCode: number) => void): void {
  program
    .command("audit")
    .description("print the decisions of an audit log, and check it")
    .argument("<file>", "the log")
    .option("--request <id>", "only decisions for this request")
    .option("--plugin <name>", "only decisions of this plugin")
    .option("--key-file <file>", "file with the key that the log was made with")
    .option("--json", "print one JSON object a line: entries, then the verdict")
    .addHelpText("after", HELP)
    .action(async (file: string, flags: AuditFlags) => done(await auditCommand(file, flags)));
}

async function auditCommand(file: string, { json = false, request, plugin, keyFile }: AuditFlags): Promise<number> {
  const shown = (entry: AuditEntry): boolean =>
    (request === undefined || ("request" in entry && entry.request === request)) &&
    (plugin === undefined || ("plugin" in entry && entry.plugin === plugin));
  try {
    const key = keyFile === undefined ? undefined : await readKey(keyFile);
    const verdict = await readAudit(file, {
      key,
      onEntry: (entry) => {
        if (shown(entry)) process.stdout.write(`${json ? jsonText(entry) : describeEntry(entry)}\n`);
      },
    });
    if (json) process.stdout.write(`${jsonText({ ...verdict, file })}\n`);
    else report(file, verdict);
    return verdict.ok ? EXIT.ok : EXIT.failed;
  } catch (error) {
    const failure = toMortiseError(error);
    if (json) process.stdout.write(`${jsonText({ ok: false, error: failure.toJSON() })}\n`);
    else printFailure(failure);
    return exitCodeOf(failure);
  }
}

async function readKey(path: string): Promise<string> {
  try {
    // An editor ends the file with a line break, which is no part of the key.
    return (await readFile(path, "utf8")).replace(/\r?\n$/, "");
  } catch (error) {
    throw usageError(`cannot read the key file "${path}": ${fileProblem(error)}`);
  }
}

function describeEntry(entry: AuditEntry): string {
  if (!("hook" in entry)) return visible(`${entry.time}  ${entry.kind}  ${entry.count}: ${entry.reason}`);
  const { time, kind, hook, plugin, version, digest, request, reason, target, changed, attributes } = entry;
  const parts = [
    time,
    kind,
    `hook=${hook}`,
    `plugin=${plugin}@${version}`,
    ...(digest === "" ? [] : [`sha256=${digest.slice(0, 12)}`]),
    `request=${request}`,
    ...(target === undefined ? [] : [`to=${target}`]),
    ...(changed === undefined ? [] : [`changed=${changed.join(",")}`]),
    ...(attributes === undefined ? [] : [`attributes=${attributes.join(",")}`]),
    ...(reason === undefined ? [] : [`reason=${JSON.stringify(reason)}`]),
  ];
  return visible(parts.join("  "));
}

function report(file: string, { ok, entries, first, lost, head, problems, problemCount }: AuditVerdict): void {
  if (lost > 0) printNote(`${lost} decisions could not be kept`);
  if (first > 1) printNote(`it begins with entry ${first}: older ones were rotated away`);
  if (ok) {
    printNote(`${entries} entries, all of them as they were written; the last is ${head.seq}, ${head.hash}`);
    return;
  }
  const [problem] = problems;
  const more = problemCount > 1 ? `, and ${problemCount - 1} more` : "";
  const reason = `line ${problem?.line}: ${problem?.reason}${more}`;
  printFailure(new MortiseError("MORTISE_AUDIT_BROKEN", { source: `"${file}"`, reason, problems }));
}
