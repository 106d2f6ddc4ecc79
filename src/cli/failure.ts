// What a failure looks like on the command line: one line, the guest's frames, a hint, and an exit code.

import { ERRORS, type ErrorCode, type ErrorDetails, MortiseError, isMortiseError } from "../index.ts";
import { paint, visible } from "./terminal.ts";

/** Exit codes; a process that Ctrl-C ends counts as 130 in a shell. */
export const EXIT = { ok: 0, failed: 1, usage: 2, unloadable: 3 } as const;

/** One of {@link EXIT}. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const USAGE_CODES: ReadonlySet<ErrorCode> = new Set([
  "MORTISE_USAGE",
  "MORTISE_INVALID_OPTION",
  "MORTISE_UNKNOWN_FUNCTION",
  "MORTISE_BAD_SIGNATURE",
] satisfies ErrorCode[]);

const UNLOADABLE_CODES: ReadonlySet<ErrorCode> = new Set([
  "MORTISE_NOT_WASM",
  "MORTISE_WASM_TEXT",
  "MORTISE_WASM_COMPONENT",
  "MORTISE_WASM_MALFORMED",
  "MORTISE_WASM_INVALID",
  "MORTISE_WASM_UNSUPPORTED",
  "MORTISE_SOURCE_NOT_FOUND",
  "MORTISE_SOURCE_UNREADABLE",
  "MORTISE_MODULE_LIMIT",
  "MORTISE_SOURCE_STATUS",
  "MORTISE_SOURCE_TIMEOUT",
  "MORTISE_SOURCE_ABORTED",
  "MORTISE_MANIFEST_INVALID",
  "MORTISE_CONFIG_INVALID",
  "MORTISE_SECRET_MISSING",
  "MORTISE_DIGEST_MISMATCH",
  "MORTISE_NATIVE_REFUSED",
  "MORTISE_MISSING_IMPORT",
  "MORTISE_IMPORT_TYPE",
  "MORTISE_ABI_MISMATCH",
  "MORTISE_PROVIDER_REFUSED",
  "MORTISE_LINK_CYCLE",
  "MORTISE_INITIAL_MEMORY",
  "MORTISE_INITIAL_TABLE",
  "MORTISE_BAD_MOUNT",
  "MORTISE_INSTANCE_CAP",
  "MORTISE_INSTANCE_FAILED",
  "MORTISE_WORKER_LIMIT",
  "MORTISE_FILTER_INVALID",
  "MORTISE_HOOK_MISSING",
  "MORTISE_PLUGIN_EXISTS",
  "MORTISE_VERSION_EXISTS",
  "MORTISE_PROBE_FAILED",
  "MORTISE_DEPENDENCY_MISSING",
  "MORTISE_DEPENDENCY_CYCLE",
  "MORTISE_AUDIT_UNREADABLE",
] satisfies ErrorCode[]);

type Hints = Readonly<Partial<Record<ErrorCode, string | ((details: ErrorDetails) => string | undefined)>>>;

/** What to do about a failure, where the command line has an answer; what a failure says of itself may decide. */
const HINTS: Hints = {
  MORTISE_TIMEOUT: "--timeout-ms gives it more time",
  MORTISE_FUEL: "--fuel gives it more",
  MORTISE_MEMORY_LIMIT: "--memory-mb gives it more",
  MORTISE_INITIAL_MEMORY: "--memory-mb gives it more",
  MORTISE_INPUT_LIMIT: "--memory-mb gives it more",
  MORTISE_MISSING_IMPORT: "the command line provides no host functions; load this plugin from a program",
  MORTISE_PERMISSION: ({ permission, grant }) => permissionHint(permission, grant),
  MORTISE_NATIVE_REFUSED: ({ grant }) => (grant === undefined ? undefined : "mortise call --allow-native runs it all the same"),
  MORTISE_HTTP_DENIED: ({ reason }) => hostHint(String(reason)),
  MORTISE_NO_SUSPENSION: "--isolation thread does without",
  MORTISE_GC_HEAP: "--isolation process runs it where it can do no harm",
};

/** The same for plugins and providers of a configuration, which has keys in place of options. Messages name what would grant something. */
const CONFIGURED_HINTS: Hints = {
  MORTISE_TIMEOUT: "timeout_ms in its limits gives it more time, and init_timeout_ms to start",
  MORTISE_FUEL: "fuel in its limits gives it more",
  MORTISE_MEMORY_LIMIT: "memory_mb in its limits gives it more",
  MORTISE_INITIAL_MEMORY: "memory_mb in its limits gives it more",
  MORTISE_MISSING_IMPORT: "only a program of yours can give it functions; see docs/embedding.md",
  MORTISE_NO_SUSPENSION: 'isolation = "thread" does without',
  MORTISE_GC_HEAP: 'isolation = "process" runs it where it can do no harm',
};

/** The option that grants a permission; `grant` is the line of configuration that would. */
function permissionHint(permission: unknown, grant: unknown): string | undefined {
  if (permission === "hosts") return "mortise call --allow-host HOST grants it";
  if (permission === "kv" || permission === "cache") return `mortise call --grant ${String(grant).replace(/[" ]/g, "")} grants it`;
  return ["crypto", "clock", "metrics"].includes(String(permission)) ? `mortise call --grant ${String(permission)} grants it` : undefined;
}

/** The entry that would grant a host, which the reason names. */
function hostHint(reason: string): string | undefined {
  const entry = /the entry "([^"]+)" in hosts/.exec(reason)?.[1];
  if (entry === undefined) return undefined;
  return `mortise call --allow-host ${/^[\w.:-]+$/.test(entry) ? entry : `'${entry}'`} grants it`;
}

/** The exit code that tells a script what kind of failure it was. */
export function exitCodeOf(error: MortiseError): ExitCode {
  if (USAGE_CODES.has(error.code)) return EXIT.usage;
  const entry: { readonly policy?: true } = ERRORS[error.code];
  return entry.policy === true || UNLOADABLE_CODES.has(error.code) ? EXIT.unloadable : EXIT.failed;
}

/** The error for a command line that makes no sense. */
export function usageError(reason: string, hint?: string): MortiseError {
  return new MortiseError("MORTISE_USAGE", hint === undefined ? { reason } : { reason, hint });
}

/** Anything that was thrown, as a coded error. */
export function toMortiseError(error: unknown): MortiseError {
  if (isMortiseError(error)) return error;
  return new MortiseError("MORTISE_INTERNAL", { reason: error instanceof Error ? error.message : String(error) }, error);
}

/** Prints a failure of something that a configuration names. */
export function printConfiguredFailure(error: MortiseError): void {
  print(error, hintOf(error, true));
}

/** Prints a failure to stderr: `mortise: CODE: message`, the guest's frames if there are any, and a hint if there is one. */
export function printFailure(error: MortiseError, hint: string | undefined = hintOf(error)): void {
  print(error, hint);
}

function print(error: MortiseError, hint: string | undefined): void {
  const lines = [`mortise: ${paint(process.stderr, "red", error.code)}: ${error.message}`, ...traceLines(error.details["trace"])];
  if (hint !== undefined) lines.push(paint(process.stderr, "dim", `  hint: ${visible(hint)}`));
  process.stderr.write(`${lines.join("\n")}\n`);
}

/** What the command line, or a configuration, can do about a failure. */
export function hintOf(error: MortiseError, isConfigured: boolean = false): string | undefined {
  const { hint } = error.details;
  if ((error.code === "MORTISE_USAGE" || error.code === "MORTISE_NO_ANSWER") && typeof hint === "string") return hint;
  const found = (isConfigured ? CONFIGURED_HINTS : HINTS)[error.code];
  return typeof found === "function" ? found(error.details) : found;
}

interface Frame {
  readonly function: string;
  readonly offset: number;
}

function isFrame(value: unknown): value is Frame {
  if (typeof value !== "object" || value === null || !("function" in value && "offset" in value)) return false;
  return typeof value.function === "string" && typeof value.offset === "number";
}

function traceLines(trace: unknown): string[] {
  const frames = Array.isArray(trace) ? trace.filter(isFrame) : [];
  return frames.map((frame) => `  at ${visible(frame.function)} (offset 0x${frame.offset.toString(16)})`);
}
