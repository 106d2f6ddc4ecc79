// The commands, their options and their help.

import { readFileSync } from "node:fs";

import { Command, CommanderError, Option } from "commander";

import { defineAudit } from "./audit-command.ts";
import { type CallFlags, LOG_CHOICES, callCommand } from "./call-command.ts";
import { defineChat } from "./chat-command.ts";
import { defineConfig } from "./config-command.ts";
import { EXIT, usageError } from "./failure.ts";
import { type InspectFlags, inspectCommand } from "./inspect-command.ts";
import { parseFolder, parseGrant, parseMemory, parsePair, parseRepeated, parseWholeNumber } from "./option-values.ts";
import { definePlugin } from "./plugin-command.ts";
import { ABIS, ISOLATIONS, WASM_ABIS } from "./plugin-flags.ts";
import { type RunFlags, runCommand } from "./run-command.ts";
import { defineServe } from "./serve-command.ts";

const EXAMPLES = `
Examples:
  mortise inspect plugin.wasm
  mortise call plugin.wasm count_vowels --input "Hello, World!"
  mortise call plugin.wasm resize --input-file a.png --memory-mb 256 > b.png
  echo '{"n":5}' | mortise call plugin.wasm handle - --json
  mortise run tool.wasm --dir ./docs:/docs:ro -- --verbose /docs

Exit codes:
  0    done
  1    the plugin failed: its own error, a trap, a limit
  2    the command line is wrong, or names a function or input that is not there
  3    the module cannot be loaded: missing, not WebAssembly, or refused
  130  interrupted by Ctrl-C, even while a plugin runs

A program that comes to its end under mortise run gives its own exit code.`;

const CALL_HELP = `
The file is a core WebAssembly module, or a manifest. The function gets the
input, or nothing. What it outputs goes to stdout, byte for byte; its log lines
go to stderr. It reaches no hosts, folders or variables but those given here;
those that a manifest asks for count with --manifest-grants only.

Examples:
  mortise call plugin.wasm count_vowels --input "Hello, World!" --stats
  mortise call plugin.wasm greet --config name=Ada --config lang=en
  mortise call plugin.wasm sum - --json < numbers.txt
  mortise call plugin.wasm fetch --input https://example.com/ \\
    --allow-host example.com --timeout-ms 10000
  mortise call guard.wasm pre_query - --grant kv=read < query.json
  mortise call manifest.json index --allow-path ./docs:/docs:ro`;

const RUN_HELP = `
The file is a WASI program (preview 1), or a manifest of one. It gets stdin,
stdout, stderr and the arguments, and of the rest what is given here; what a
manifest asks for counts with --manifest-grants only. Arguments that begin with
a dash go behind --. There is no time limit unless one is given.

The exit code is the program's own if it came to its end. If it was stopped or
could not be loaded, a line on stderr begins with "mortise: MORTISE_"; --json
tells the two apart by "ok".

Examples:
  mortise run tool.wasm < input.txt > output.txt
  mortise run tool.wasm --dir .:/work --env LANG=en -- --verbose /work/a.txt`;

const INSPECT_HELP = `
The file is a core WebAssembly module, or a manifest, whose main module is
described. Nothing of it is compiled or run. A module that would be refused is
described like any other, with the reasons; the exit code is 0 then, too.

Examples:
  mortise inspect plugin.wasm
  mortise inspect plugin.wasm --json | jq .imports`;

/**
 * Runs the command line and returns the exit code.
 *
 * @throws MortiseError MORTISE_USAGE if the command line makes no sense
 */
export async function runProgram(args: readonly string[]): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = defineProgram((code) => (exitCode = code));
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help and version have been printed; without any command, help stands in for the message.
    if (error.exitCode === 0) return EXIT.ok;
    if (error.code === "commander.help") return EXIT.usage;
    throw toUsageError(error, program.commands.find((command) => command.name() === args[0])?.name());
  }
  return exitCode;
}

function defineProgram(done: (exitCode: number) => void): Command {
  const program = new Command("mortise")
    .description("Runs WebAssembly plugins and programs under limits.")
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .helpCommand("help [command]", "print help for a command")
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .configureHelp({ optionDescription: (option) => option.description })
    .addHelpText("after", EXAMPLES);
  defineServe(program, done);
  defineChat(program, done);
  defineCall(program, done);
  defineRun(program, done);
  program
    .command("inspect")
    .description("say what a module is, and whether it would be refused")
    .argument("<file>", "the module, or a manifest")
    .option("--json", "print one JSON object")
    .addOption(new Option("--abi <name>", `say what it lacks for an interface: ${WASM_ABIS.join(", ")}`).choices(WASM_ABIS))
    .addHelpText("after", INSPECT_HELP)
    .action(async (file: string, flags: InspectFlags) => done(await inspectCommand(file, flags)));
  defineConfig(program, done);
  definePlugin(program, done);
  defineAudit(program, done);
  return program;
}

function defineCall(program: Command, done: (exitCode: number) => void): void {
  const call = program
    .command("call")
    .description("call a function of a plugin, once")
    .argument("<file>", "the plugin, or a manifest")
    .argument("<function>", "the function to call")
    .argument("[-]", "read the input from stdin")
    .option("--input <text>", "the input, as text")
    .option("--input-file <file>", "the input, from a file")
    .option("--config <key=value>", "configuration that the plugin may read; repeatable", parsePair)
    .option("--allow-host <host>", "host that it may send HTTP requests to; repeatable", parseRepeated)
    .option("--allow-path <host:guest>", "folder that it may use, read-only with :ro; repeatable", parseFolder)
    .option("--grant <permission>", "service that it may use: kv, cache, crypto, clock or metrics; repeatable", parseGrant)
    .option("--allow-native", "run the file without a sandbox, if it is a native plugin")
    .addOption(new Option("--abi <name>", `interface that it speaks: ${ABIS.join(", ")} (default: what it exports tells)`).choices(ABIS));
  defineCommon(call, "default: 1000")
    .addOption(
      new Option("--log-level <level>", `least severe log lines to show: ${LOG_CHOICES.join(", ")} (default: info)`)
        .choices(LOG_CHOICES)
        .default("info"),
    )
    .option("--stats", "print time, fuel and memory to stderr")
    .option("--json", "print one JSON object: output or error, and stats")
    .addHelpText("after", CALL_HELP)
    .action(async (file: string, fn: string, dash: string | undefined, flags: CallFlags) =>
      done(await callCommand(file, fn, dash === undefined ? flags : { ...flags, dash })),
    );
}

function defineRun(program: Command, done: (exitCode: number) => void): void {
  const run = program
    .command("run")
    .description("run a WASI program")
    .argument("<file>", "the program, or a manifest")
    .argument("[args...]", "arguments of the program")
    .option("--dir <host:guest>", "folder that it may use, read-only with :ro; repeatable", parseFolder);
  defineCommon(run, "default: no limit")
    .option("--stats", "print time, fuel and memory to stderr")
    .option("--json", "print one JSON object: exit code or error, output, stats")
    .addHelpText("after", RUN_HELP)
    .action(async (file: string, args: readonly string[], flags: RunFlags) => done(await runCommand(file, args, flags)));
}

/** Options that plugins and programs share. */
function defineCommon(command: Command, time: string): Command {
  return command
    .option("--manifest-grants", "grant the hosts and folders that a manifest asks for")
    .option("--env <key=value>", "environment variable of WASI; repeatable", parsePair)
    .option("--timeout-ms <ms>", `time it may take (${time})`, parseWholeNumber)
    .option("--memory-mb <mib>", "memory it may have, in MiB (default: 64)", parseMemory)
    .option("--fuel <units>", "fuel it may use (default: no limit)", parseWholeNumber)
    .addOption(new Option("--isolation <place>", `where it runs: ${ISOLATIONS.join(", ")} (default: inline)`).choices(ISOLATIONS).default("inline"));
}

/** Commander's text without its prefix; a suggestion becomes the hint. */
function toUsageError(error: CommanderError, command: string | undefined): Error {
  const [reason = "", ...rest] = error.message.replace(/^error: /, "").split("\n");
  const suggestion = rest.join(" ").replace(/^\(Did you mean (?:one of )?(.*)\?\)$/, "did you mean $1?");
  if (suggestion === "" && command === "run" && reason.startsWith("unknown option")) return usageError(reason, "options of the program go behind --");
  return usageError(reason, suggestion === "" ? `mortise ${command === undefined ? "" : `${command} `}--help shows what there is` : suggestion);
}

/** Read here, not imported: the file lies outside of what is compiled. */
function packageVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  const description: unknown = JSON.parse(text);
  return typeof description === "object" && description !== null && "version" in description ? String(description.version) : "unknown";
}
