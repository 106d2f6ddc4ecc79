// `mortise config`: checks a configuration, shows what it comes to, and prints its schema.

import type { Command } from "commander";

import type { Config } from "../config/config.ts";
import type { ConfigProblem } from "../config/problems.ts";
import type { MortiseError } from "../index.ts";
import { EXIT, exitCodeOf, printFailure, toMortiseError } from "./failure.ts";
import { printNote } from "./notes.ts";
import { plural } from "./quantities.ts";
import { jsonText, visible } from "./terminal.ts";

/** The file that is meant where none is named. */
const STANDARD_FILE = "mortise.toml";

interface ConfigFlags {
  readonly json?: boolean;
  readonly secrets?: boolean;
}

const HELP = `
The file is TOML, or JSON if it is called .json; it may include others. Every
problem is printed with its place. Plugins are not loaded.

Examples:
  mortise config check
  mortise config show --json | jq '.plugins[].limits'
  mortise config schema > mortise.schema.json`;

/** Adds the commands to the program. */
export function defineConfig(program: Command, done: (exitCode: number) => void): void {
  const config = program.command("config").description("check a configuration, show it, print its schema").addHelpText("after", HELP);
  config
    .command("check")
    .description("say whether a configuration is right")
    .argument("[file]", `the configuration (default: ${STANDARD_FILE})`)
    .option("--secrets", "also look whether the secrets that it names are there")
    .option("--json", "print one JSON object")
    .action(async (file: string | undefined, flags: ConfigFlags) => done(await checkCommand(file ?? STANDARD_FILE, flags)));
  config
    .command("show")
    .description("print a configuration with every default, without secrets")
    .argument("[file]", `the configuration (default: ${STANDARD_FILE})`)
    .option("--json", "print one JSON object")
    .action(async (file: string | undefined, flags: ConfigFlags) => done(await showCommand(file ?? STANDARD_FILE, flags)));
  config
    .command("schema")
    .description("print the JSON Schema of configurations")
    .action(async () => done(await schemaCommand()));
}

async function checkCommand(file: string, { json = false, secrets = false }: ConfigFlags): Promise<number> {
  return reporting(json, async () => {
    const { readConfig } = await import("../config/read-config.ts");
    const config = await readConfig(file);
    if (config.gateway !== undefined) (await import("./serve/gateway-faults.ts")).checkRoutes(config);
    const warnings = [...config.warnings, ...(secrets ? await checkSecrets(config) : [])];
    const { plugins } = config;
    const files = config.documents.map(({ path }) => path);
    if (json)
      process.stdout.write(
        `${jsonText({ ok: true, files, plugins: plugins.map(({ name }) => name), ...(config.gateway && { providers: config.gateway.providers.map(({ name }) => name) }), warnings })}\n`,
      );
    else {
      printWarnings(warnings);
      const included = files.length > 1 ? `, ${files.length} files` : "";
      const providers = config.gateway === undefined ? "" : `, ${plural(config.gateway.providers.length, "provider")}`;
      process.stdout.write(`${visible(file)}: no problems (${plural(plugins.length, "plugin")}${providers}${included})\n`);
    }
  });
}

async function showCommand(file: string, { json = false }: ConfigFlags): Promise<number> {
  return reporting(json, async () => {
    const [{ readConfig }, { describeConfig }, { configLines }] = await Promise.all([
      import("../config/read-config.ts"),
      import("../config/describe-config.ts"),
      import("./config-report.ts"),
    ]);
    const config = await readConfig(file);
    const { origins, ...described } = describeConfig(config);
    if (!json) printWarnings(config.warnings);
    process.stdout.write(
      json
        ? `${jsonText({ ok: true, files: config.documents.map(({ path }) => path), ...described, origins: Object.fromEntries(origins) })}\n`
        : `${configLines(described, origins).join("\n")}\n`,
    );
  });
}

async function schemaCommand(): Promise<number> {
  const { configJsonSchema } = await import("../config/json-schema.ts");
  process.stdout.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  return EXIT.ok;
}

/** Looks at every secret of the plugins that are enabled, of the store and of the gateway. @throws MortiseError MORTISE_SECRET_MISSING */
async function checkSecrets(config: Config): Promise<ConfigProblem[]> {
  const [{ resolveSecrets, resolveStoreUrl }, { toGatewayOptions }] = await Promise.all([
    import("../config/resolve-secrets.ts"),
    import("../config/gateway-options.ts"),
  ]);
  const warnings: ConfigProblem[] = [];
  const sources = { env: process.env, onWarning: (warning: ConfigProblem) => void warnings.push(warning) };
  await resolveStoreUrl(config, sources);
  for (const plugin of config.plugins) if (plugin.enabled) await resolveSecrets(plugin, sources);
  if (config.gateway !== undefined) await toGatewayOptions(config, sources);
  return warnings;
}

/** Runs a command; a failure is printed, with every problem that it has. */
async function reporting(json: boolean, run: () => Promise<void>): Promise<number> {
  try {
    await run();
    return EXIT.ok;
  } catch (error) {
    const failure = toMortiseError(error);
    if (json) process.stdout.write(`${jsonText({ ok: false, error: failure.toJSON() })}\n`);
    else {
      printFailure(failure);
      printProblems(failure);
    }
    return exitCodeOf(failure);
  }
}

/** Prints the problems that the message of a failure does not have. */
export function printProblems({ details }: MortiseError): void {
  const { problems = [], count = 0 } = details as { readonly problems?: readonly ConfigProblem[]; readonly count?: number };
  const others = problems.slice(1).map((each) => `  ${describeProblem(each)}\n`);
  if (count > problems.length) others.push(`  and ${count - problems.length} more\n`);
  process.stderr.write(others.join(""));
}

function printWarnings(warnings: readonly ConfigProblem[]): void {
  for (const warning of warnings) printNote(describeProblem(warning));
}

/** `"mortise.toml", line 12, column 3: …`, safe for a terminal. */
export function describeProblem({ source, line, column, reason }: ConfigProblem): string {
  return visible(`${source}${line === undefined || column === undefined ? "" : `, line ${line}, column ${column}`}: ${reason}`);
}
