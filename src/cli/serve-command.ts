// `mortise serve`: the gateway, in this process or in several.

import { type Command, InvalidArgumentError, Option } from "commander";

import { LOG_CHOICES } from "./call-command.ts";
import { parseWholeNumber } from "./option-values.ts";

/** Options of the command as commander gives them. */
export interface ServeFlags {
  readonly config?: string;
  readonly host?: string;
  readonly port?: number;
  readonly metricsPort?: number;
  readonly workers: number;
  readonly separateState?: boolean;
  readonly jsonLogs?: boolean;
  readonly logLevel: (typeof LOG_CHOICES)[number];
}

const HELP = `
Serves language models at one address: their providers, and the plugins around
each request, are those of the configuration. Without one it serves what is
built in, which needs no key and no network. Log lines go to stderr, one for
each request, without bodies and keys.

A changed configuration or plugin is taken over while it runs, without a lost
request; one that is wrong changes nothing. SIGHUP reads everything anew.

Exit codes:
  0        stopped by Ctrl-C or SIGTERM
  1        it cannot listen, or failed
  2, 3     wrong arguments; a configuration or plugin that cannot be used
  130, 143 a second Ctrl-C or SIGTERM, which waits for nothing

Examples:
  mortise serve
  mortise serve --config mortise.toml --port 8080 --json-logs
  mortise serve --config mortise.toml --workers 4 --metrics-port 9464`;

const MAX_WORKERS = 256;

/** Defines the command. */
export function defineServe(program: Command, done: (exitCode: number) => void): void {
  program
    .command("serve")
    .description("serve language models, with plugins around each request")
    .option("--config <file>", "the configuration (default: mortise.toml, or built in)")
    .option("--host <address>", "address to listen at (default: 127.0.0.1)")
    .option("--port <port>", "port to listen at, 0 for any (default: 8080, or the next)", parsePort)
    .option("--metrics-port <port>", "port of metrics (default: any)", parsePort)
    .option("--workers <count>", "processes that serve (default: 1)", parseWorkers, 1)
    .option("--separate-state", "let workers have stores of their own, in memory")
    .option("--json-logs", "write log lines as JSON, and nothing to stdout")
    .addOption(
      new Option("--log-level <level>", `least severe log lines to show: ${LOG_CHOICES.join(", ")} (default: info)`)
        .choices(LOG_CHOICES)
        .default("info"),
    )
    .addHelpText("after", HELP)
    .action(async (flags: ServeFlags) => {
      // Loaded here, since other commands do without.
      const { serve } = await import("./serve/serve.ts");
      done(await serve(flags));
    });
}

function parsePort(text: string): number {
  const port = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) throw new InvalidArgumentError("It must be a whole number from 0 to 65535.");
  return port;
}

function parseWorkers(text: string): number {
  const count = parseWholeNumber(text);
  if (count > MAX_WORKERS) throw new InvalidArgumentError(`It must be ${MAX_WORKERS} or less.`);
  return count;
}
