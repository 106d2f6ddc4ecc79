// The options of a gateway as tables, made of what stands in the sources: their names, what is said of them, and their defaults.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { ROOT } from "../cli/run-cli.ts";

/** An interface with options. */
export interface OptionTable {
  readonly name: string;
  /** From the root. */
  readonly path: string;
  /** Options that the gateway sets itself. */
  readonly without?: readonly string[];
}

/** One option. */
export interface OptionRow {
  readonly name: string;
  readonly isRequired: boolean;
  readonly type: string;
  readonly text: string;
  /** Undefined where nothing is said. */
  readonly standard: string | undefined;
}

const GATEWAY = "src/gateway";

/** In the order of the page. */
export const OPTION_TABLES: readonly OptionTable[] = [
  { name: "GatewayOptions", path: `${GATEWAY}/options.ts` },
  { name: "GatewaySetup", path: `${GATEWAY}/options.ts` },
  { name: "ProviderSource", path: `${GATEWAY}/options.ts` },
  { name: "LoadedProvider", path: `${GATEWAY}/options.ts` },
  { name: "ProviderPolicy", path: `${GATEWAY}/options.ts` },
  { name: "KeyOptions", path: `${GATEWAY}/policies/key-ring.ts` },
  { name: "KeyRingOptions", path: `${GATEWAY}/policies/key-ring.ts` },
  { name: "GateOptions", path: `${GATEWAY}/policies/gate.ts` },
  { name: "BreakerOptions", path: "src/manager/breaker.ts" },
  { name: "AttemptOptions", path: `${GATEWAY}/policies/attempt-policy.ts` },
  { name: "WeightedName", path: `${GATEWAY}/policies/aliases.ts` },
  { name: "GatewayAccess", path: `${GATEWAY}/options.ts` },
  { name: "ClientKey", path: `${GATEWAY}/client-keys.ts` },
  { name: "RateLimiterOptions", path: `${GATEWAY}/policies/rate-limiter.ts`, without: ["onError", "clock"] },
  { name: "RateLimit", path: `${GATEWAY}/policies/rate-limiter.ts` },
  { name: "GatewayLimits", path: `${GATEWAY}/options.ts` },
  { name: "ListenOptions", path: `${GATEWAY}/options.ts` },
  { name: "GatewayHookOptions", path: `${GATEWAY}/hooks.ts` },
  { name: "GatewayCloseOptions", path: `${GATEWAY}/gateway.ts` },
];

/** The members of an interface, without those that it extends. */
export function optionRows({ name, path, without = [] }: OptionTable): OptionRow[] {
  const source = readFileSync(join(ROOT, path), "utf8");
  const body = new RegExp(`^export interface ${name}(?: extends [^{]+)? \\{\n(?<body>[^]*?)^\\}`, "m").exec(source)?.groups?.["body"];
  if (body === undefined) throw new Error(`${path} has no interface ${name}`);
  const members = body.matchAll(/(?:^ {2}\/\*\*(?<doc>[^]*?)\*\/\n)?^ {2}readonly (?<name>\w+)(?<optional>\??): (?<type>[^\n]+);$/gm);
  return [...members].map(({ groups }) => rowOf(groups ?? {})).filter((row) => !without.includes(row.name));
}

function rowOf({ doc = "", name = "", optional, type = "" }: Readonly<Record<string, string | undefined>>): OptionRow {
  const said = doc
    .replaceAll(/^ *\* ?/gm, " ")
    .replaceAll(/\s+/g, " ")
    .trim();
  const [text = "", standard] = said.split(/ ?@default /);
  return { name, isRequired: optional === "", type, text: text.replace(/\.$/, ""), standard };
}

/** The tables as the page has them. */
export function tablesText(): string {
  return OPTION_TABLES.map((table) => {
    const rows = optionRows(table).map(({ name, isRequired, type, text, standard }) => {
      const own = OPTION_TABLES.find(({ name: other }) => new RegExp(`\\b${other}\\b`).test(type));
      const seen = own === undefined ? "" : `[${own.name}](#${own.name.toLowerCase()})`;
      const what = [text, seen].filter((part) => part !== "").join(": ");
      return `| \`${name}\` | ${isRequired ? "required" : (standard ?? "")} | ${what} |`;
    });
    return `### ${table.name}\n\n| option | default | what it is |\n|---|---|---|\n${rows.join("\n")}\n`;
  }).join("\n");
}
