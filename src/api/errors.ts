// Every failure a user of Mortise can meet: one class, one table of codes.

/** What the table says of one code. */
export interface ErrorEntry {
  /** Message with `{name}` places that `details` fills. */
  readonly message: string;
  /** HTTP status that a server answers with when a request fails for this reason. */
  readonly status: number;
  /** The policy that refuses a valid module, as opposed to a module that is broken. */
  readonly policy?: true;
}

const entry = (status: number, message: string): ErrorEntry => ({ message, status });
const policy = (message: string): ErrorEntry => ({ message, status: 422, policy: true });

const WHO = `function "{function}" of plugin "{plugin}"`;

/** Codes are never reused and never change their meaning; docs/errors.md explains each. */
export const ERRORS = {
  // reading a module
  MORTISE_NOT_WASM: entry(422, `Cannot read {source}: it starts with {found}, not with the WebAssembly magic "\\0asm"`),
  MORTISE_WASM_TEXT: entry(422, "Cannot read {source}: it is WebAssembly text; assemble it to a binary first, for example with wat2wasm"),
  MORTISE_WASM_COMPONENT: entry(
    422,
    "Cannot read {source}: it is a WebAssembly component; only core modules are supported, so build for wasm32-wasip1 or wasm32-unknown-unknown",
  ),
  MORTISE_WASM_MALFORMED: entry(422, "Cannot read {source}: {reason} at byte {offset}"),
  MORTISE_WASM_INVALID: entry(422, "Cannot compile {source}: the engine rejects it: {reason}"),
  MORTISE_WASM_UNSUPPORTED: entry(422, "Cannot read {source}: {reason} at byte {offset} is not supported"),
  // policies over valid modules
  MORTISE_WASM_TOO_LARGE: policy("Cannot instrument {source}: {what} would be {size} after rewriting, but can be {limit} at most"),
  MORTISE_FUNCTION_TOO_LARGE: policy(
    "Cannot run {source} in this thread: compiling function {index} ({what} {size}, limit {limit}) could stop the event loop; split the function, compile with -Os, or raise limits.{option}",
  ),
  MORTISE_SHARED_MEMORY: policy(
    "Cannot run {source} in this thread: {what} at byte {offset} could block the event loop; build the plugin without threads",
  ),
  MORTISE_GC_HEAP: policy(
    "Cannot run {source} in this thread: {what} at byte {offset} uses the garbage-collected heap, which has no limit inside a process",
  ),
  MORTISE_TOO_MANY_MEMORIES: policy("Cannot run {source}: it has {count} memories, but at most {limit} are allowed"),
  MORTISE_TOO_MANY_TABLES: policy("Cannot run {source}: it has {count} tables, but at most {limit} are allowed"),
  // loading a plugin
  MORTISE_SOURCE_NOT_FOUND: entry(404, "Cannot read {source}: the file does not exist"),
  MORTISE_SOURCE_UNREADABLE: entry(422, "Cannot read {source}: {reason}"),
  MORTISE_MODULE_LIMIT: entry(413, "Cannot load {source}: it has {size} bytes, but limits.moduleBytes allows {limit}"),
  MORTISE_SOURCE_STATUS: entry(502, "Cannot read {source}: the server answered with status {status}"),
  MORTISE_SOURCE_TIMEOUT: entry(504, "Cannot read {source}: it was not there within {limit} ms"),
  MORTISE_SOURCE_ABORTED: entry(499, "Cannot read {source}: the caller aborted it"),
  MORTISE_MANIFEST_INVALID: entry(422, "Cannot use {source}{at}: {reason}"),
  MORTISE_CONFIG_INVALID: entry(422, "Cannot use {source}{at}: {reason}{more}"),
  MORTISE_SECRET_MISSING: entry(422, "Cannot use {source}{at}: {place} needs {what}, which {reason}"),
  MORTISE_DIGEST_MISMATCH: entry(422, "Cannot load {source}: its SHA-256 is {found} but must be {wanted}"),
  MORTISE_NATIVE_REFUSED: entry(403, "Cannot load native plugin {source}: {reason}{hint}"),
  MORTISE_INVALID_OPTION: entry(400, `Cannot use option "{option}": it is {found} but must be {wanted}`),
  MORTISE_MISSING_IMPORT: entry(422, `Cannot load plugin "{plugin}": it imports {kind} "{module}" "{name}", which nothing provides{hint}`),
  MORTISE_IMPORT_TYPE: entry(422, `Cannot load plugin "{plugin}": it imports "{module}" "{name}" as {found}, but it must be {wanted}`),
  MORTISE_ABI_MISMATCH: entry(422, `Cannot load plugin "{plugin}" with the interface "{abi}": it lacks {missing}`),
  MORTISE_LINK_CYCLE: entry(422, `Cannot load plugin "{plugin}": modules {names} import memories, tables or globals of each other in a circle`),
  MORTISE_INITIAL_MEMORY: entry(422, `Cannot load plugin "{plugin}": its memories start with {found} bytes, but limits.memoryBytes allows {limit}`),
  MORTISE_INITIAL_TABLE: entry(422, `Cannot load plugin "{plugin}": its tables start with {found} entries, but limits.tableEntries allows {limit}`),
  MORTISE_BAD_MOUNT: entry(422, `Cannot grant the folder "{path}": {reason}`),
  MORTISE_FILTER_INVALID: entry(422, `Cannot use the filter of plugin "{plugin}" for hook "{hook}": it {reason}`),
  MORTISE_HOOK_MISSING: entry(
    422,
    `Cannot load plugin "{plugin}": it has no function for hook "{hook}", which it is required for; the name is {names}`,
  ),
  MORTISE_PLUGIN_EXISTS: entry(409, `Cannot load plugin "{plugin}": the host has one of that name; unload it first, or name this one otherwise`),
  MORTISE_INSTANCE_CAP: entry(503, `Cannot create an instance of plugin "{plugin}": this process has {count} already, and its cap is {limit}`),
  MORTISE_INSTANCE_FAILED: entry(503, `Cannot create an instance of plugin "{plugin}": {reason}`),
  MORTISE_WORKER_LIMIT: entry(
    503,
    `Cannot start a {place} for plugin "{plugin}": {limit} run already; close plugins, run some inline, or raise {option} with configureIsolation`,
  ),
  MORTISE_ISOLATION_LOST: entry(503, `Failed in the {place} that ran plugin "{plugin}": {reason}`),
  // calling a plugin
  MORTISE_UNKNOWN_FUNCTION: entry(404, `Cannot call function "{function}" of plugin "{plugin}": there is no such export{hint}`),
  MORTISE_BAD_SIGNATURE: entry(
    422,
    `Cannot call function "{function}" of plugin "{plugin}": it is {found}, but must be a function of the plugin's own without parameters that returns nothing or an i32`,
  ),
  MORTISE_INVALID_INPUT: entry(400, `Cannot call ${WHO}: the input is {found} but must be a string, bytes or nothing`),
  MORTISE_INPUT_LIMIT: entry(413, `Cannot call ${WHO}: the input has {size} bytes, but with limits.memoryBytes at {limit} it does not fit`),
  MORTISE_REENTRANT: entry(
    409,
    `Cannot call ${WHO}: the plugin is running "{running}", which callSync cannot wait for, nor a host function that the plugin itself waits for`,
  ),
  MORTISE_NO_SYNC: entry(409, `Cannot call ${WHO}: with isolation "{isolation}" there is no callSync; use call`),
  MORTISE_CLOSED: entry(409, `Cannot call ${WHO}: the plugin is closed`),
  MORTISE_ABORTED: entry(499, `Stopped ${WHO}: the caller aborted it`),
  MORTISE_TIMEOUT: entry(504, `Stopped ${WHO}: it ran past its deadline of {limit} ms`),
  MORTISE_FUEL: entry(504, `Stopped ${WHO}: it used up its fuel of {limit} units`),
  MORTISE_MEMORY_LIMIT: entry(507, `Stopped ${WHO}: it asked for more memory than the {limit} bytes it may have`),
  MORTISE_TABLE_LIMIT: entry(507, `Stopped ${WHO}: it asked for more than the {limit} table entries it may have`),
  MORTISE_STACK_OVERFLOW: entry(500, `Stopped ${WHO}: it exhausted the call stack`),
  MORTISE_TRAP: entry(500, `Stopped ${WHO}: it trapped: {reason}`),
  MORTISE_UNCAUGHT_EXCEPTION: entry(500, `Stopped ${WHO}: it threw a WebAssembly exception that nothing caught`),
  MORTISE_EXIT: entry(500, `Stopped ${WHO}: it exited with code {exitCode}`),
  MORTISE_GUEST_ERROR: entry(502, `Failed in ${WHO}: {reason}`),
  MORTISE_RETURN_CODE: entry(502, `Failed in ${WHO}: it returned the non-zero code {returnCode}`),
  MORTISE_BAD_POINTER: entry(502, `Failed in ${WHO}: {what} of {size} bytes at address {address} lies outside the plugin's memory`),
  MORTISE_BAD_ALLOCATION: entry(502, `Failed in ${WHO}: its allocator "{allocator}" answers {size} bytes with address {address}, {reason}`),
  MORTISE_OUTPUT_LIMIT: entry(502, `Failed in ${WHO}: its output has {size} bytes, but limits.outputBytes allows {limit}`),
  MORTISE_BAD_TEXT: entry(502, `Failed in ${WHO}: {what} is not valid UTF-8`),
  MORTISE_BAD_JSON: entry(502, `Failed in ${WHO}: its output is not JSON: {reason}`),
  MORTISE_LOG_LIMIT: entry(507, `Dropped log lines of ${WHO}: they passed the {limit} bytes that limits.logBytes allows a call`),
  MORTISE_VAR_LIMIT: entry(507, `Stopped ${WHO}: setting variable "{name}" would need {size} bytes in all, but limits.varBytes allows {limit}`),
  MORTISE_PERMISSION: entry(403, `Stopped ${WHO}: {what} needs a permission that the plugin does not have{hint}`),
  MORTISE_HOST_FUNCTION: entry(500, `Stopped ${WHO}: host function "{module}" "{name}" failed: {reason}`),
  MORTISE_HOST_RESULT: entry(500, `Stopped ${WHO}: host function "{module}" "{name}" returned {found} but must return {wanted}`),
  MORTISE_ASYNC_HOST_FUNCTION: entry(
    500,
    `Stopped ${WHO}: "{name}" has to wait for a promise, which neither callSync nor an initialiser can do; use call`,
  ),
  MORTISE_NO_SUSPENSION: entry(
    501,
    `Stopped ${WHO}: "{name}" has to wait for a promise, but this engine cannot suspend WebAssembly; use Node.js 24 or newer without flags that turn it off, or isolation "thread"`,
  ),
  MORTISE_STALE_CONTEXT: entry(500, `Cannot use the call context of ${WHO}: that call is over`),
  // HTTP for guests
  MORTISE_HTTP_DENIED: entry(403, `Failed in ${WHO}: HTTP to "{host}" is not allowed: {reason}`),
  MORTISE_HTTP_INVALID: entry(502, `Failed in ${WHO}: its HTTP request is invalid: {reason}`),
  MORTISE_HTTP_LIMIT: entry(502, `Failed in ${WHO}: {what} passes the {limit} {unit} that {option} allows`),
  MORTISE_HTTP_TIMEOUT: entry(504, `Failed in ${WHO}: the HTTP request to {url} took longer than the {limit} ms that timeoutMs of HTTP allows`),
  MORTISE_HTTP_IDLE: entry(504, `Failed in ${WHO}: the response of {url} stopped: nothing came for the {limit} ms that idleTimeoutMs of HTTP allows`),
  MORTISE_HTTP_FAILED: entry(502, `Failed in ${WHO}: the HTTP request to {url} failed: {reason}`),
  // providers of QueryMT
  MORTISE_PROVIDER_REFUSED: entry(422, `Cannot use plugin "{plugin}" as a provider: {reason}`),
  MORTISE_PROVIDER_ERROR: entry(502, `Failed in ${WHO}: {reason}`),
  MORTISE_PROVIDER_OUTPUT: entry(502, `Failed in ${WHO}: what it gave is not what a provider gives: {reason}`),
  // the gateway
  MORTISE_LISTEN: entry(500, "Cannot listen at {address}: {reason}"),
  MORTISE_NO_ANSWER: entry(502, "Cannot get an answer from {from}: {reason}"),
  MORTISE_GATEWAY_REQUEST: entry(400, "Refused the request: {what} {reason}"),
  MORTISE_GATEWAY_KEY: entry(401, "Refused the request: its key is not known: {reason}"),
  MORTISE_GATEWAY_PATH: entry(404, "Refused the request: there is nothing at {path}"),
  MORTISE_GATEWAY_METHOD: entry(405, "Refused the request: {path} takes {allowed}, not {method}"),
  MORTISE_GATEWAY_MOVED: entry(409, "Refused the request: plugins may not change its {what}, which became {found}"),
  MORTISE_GATEWAY_BODY_LIMIT: entry(413, "Refused the request: its body has {size} bytes or more, but {limit} are allowed"),
  MORTISE_GATEWAY_BODY_TYPE: entry(415, "Refused the request: its {header} is {found}, but must be {wanted}"),
  MORTISE_GATEWAY_NAME: entry(421, "Refused the request: it is addressed to {host}, which is no name of this gateway"),
  MORTISE_GATEWAY_CANCELLED: entry(499, "Gave up the request: its client went away"),
  MORTISE_GATEWAY_NO_MODEL: entry(404, `Cannot find model "{model}": {reason}{hint}`),
  MORTISE_GATEWAY_RATE_LIMIT: entry(429, `Refused the request: client "{client}" may use {limit} {unit} in {windowMs} ms`),
  MORTISE_GATEWAY_BUSY: entry(503, "Refused the request: {what} serves {limit} at a time, and {reason}"),
  MORTISE_GATEWAY_NO_KEY: entry(
    503,
    `Cannot ask provider "{provider}": each of its keys that may be used was refused, and rests; the last one: {reason}`,
  ),
  MORTISE_GATEWAY_SUSPENDED: entry(
    503,
    `Cannot ask provider "{provider}": it failed too often, the last time with {lastFailure}; its breaker is {state}`,
  ),
  MORTISE_GATEWAY_DEADLINE: entry(504, "Gave up {what}: it took longer than the {limit} ms that {option} allows"),
  MORTISE_GATEWAY_FULL: entry(503, "Refused the request: {reason}"),
  MORTISE_GATEWAY_ANSWERED: entry(502, "{reason}"),
  MORTISE_GATEWAY_UNTOLD: entry(
    507,
    `Dropped what plugins of hook "{hook}" were to be told of a request: it has {size} bytes, {waiting} bytes wait, and {limit} may`,
  ),
  MORTISE_GATEWAY_UPSTREAM: entry(502, "Cannot use the answer of the model's server: {what} {reason}"),
  // services of the host
  MORTISE_SERVICE_ARGUMENT: entry(502, `Stopped ${WHO}: argument "{argument}" of {service} {reason}`),
  MORTISE_METRIC_LIMIT: entry(507, `Dropped samples of metric "{name}" of plugin "{plugin}": {what} passes the {limit} that a plugin may have`),
  MORTISE_DATABASE_FAILED: entry(502, `Stopped ${WHO}: database "{database}" failed: {reason}`),
  MORTISE_NO_REQUEST: entry(500, `Stopped ${WHO}: {service} works on a request; pass a RequestContext as context of the call`),
  // calls from plugin to plugin
  MORTISE_PLUGIN_CALL_FAILED: entry(502, `Stopped ${WHO}: its call of function "{calledFunction}" of plugin "{called}" failed: {reason}`),
  MORTISE_PLUGIN_CALL_REFUSED: entry(409, `Stopped ${WHO}: it cannot call function "{calledFunction}" of plugin "{called}": {reason}`),
  MORTISE_PLUGIN_REGISTRATION: entry(502, `Stopped ${WHO}: it cannot {what}: {reason}`),
  // stores
  MORTISE_STORE_UNAVAILABLE: entry(503, "Cannot use the {store} store: {reason}"),
  MORTISE_STORE_QUOTA: entry(507, `Cannot write key "{key}" of namespace "{namespace}": {what} would hold {size} {unit}, but {limit} are allowed`),
  MORTISE_STORE_NOT_A_NUMBER: entry(409, `Cannot add to key "{key}" of namespace "{namespace}": {reason}`),
  // hooks, and the host that they belong to
  MORTISE_HOOK_FAILED: entry(502, `Stopped hook "{hook}": plugin "{plugin}" failed, and the hook is closed: {reason}`),
  MORTISE_HOOK_REJECTED: entry(403, `Stopped hook "{hook}": plugin "{plugin}" rejected it: {reason}`),
  MORTISE_HOOK_OUTPUT: entry(502, `Cannot use what plugin "{plugin}" answered in hook "{hook}": its output {reason}`),
  MORTISE_HOOK_INPUT: entry(400, `Cannot run hook "{hook}": its input is refused: {reason}`),
  MORTISE_UNKNOWN_PLUGIN: entry(404, `Cannot {what} plugin "{plugin}": the host has none of that name{hint}`),
  MORTISE_UNKNOWN_VERSION: entry(404, `Cannot {what} plugin "{plugin}": it has no version "{version}"{hint}`),
  MORTISE_VERSION_EXISTS: entry(409, `Cannot load version "{version}" of plugin "{plugin}": one of that name is loaded`),
  MORTISE_NO_EARLIER_VERSION: entry(409, `Cannot roll back plugin "{plugin}": no version that served before is loaded any more`),
  MORTISE_PROBE_FAILED: entry(422, `Cannot use version "{version}" of plugin "{plugin}": its probe "{function}" failed: {reason}`),
  MORTISE_PLUGIN_SUSPENDED: entry(
    503,
    `Cannot call ${WHO}: version "{version}" failed too often, the last time with {lastFailure}; its breaker is {state}`,
  ),
  MORTISE_DEPENDENCY_MISSING: entry(409, `Cannot {what} plugin "{plugin}": it depends on "{missing}", which is not loaded`),
  MORTISE_DEPENDENCY_CYCLE: entry(422, `Cannot {what} plugin "{plugin}": it would depend on itself: {path}`),
  MORTISE_PLUGIN_NEEDED: entry(409, `Cannot {what} plugin "{plugin}": {dependents} depend on it`),
  MORTISE_HOST_LIMIT: entry(503, `Cannot {what} plugin "{plugin}": its host has {count} {unit}, and limits.{option} allows {limit}`),
  MORTISE_HOST_CLOSED: entry(409, "Cannot {what}: the host is closed"),
  // audit logs
  MORTISE_AUDIT_UNREADABLE: entry(422, "Cannot read audit log {source}: {reason}"),
  MORTISE_AUDIT_BROKEN: entry(409, "Cannot vouch for audit log {source}: {reason}"),
  MORTISE_AUDIT_FAILED: entry(503, "Cannot write to audit log {sink}: {reason}"),
  // command line
  MORTISE_USAGE: entry(400, "{reason}"),
  MORTISE_INTERNAL: entry(500, "{reason}; this is a defect of Mortise, please report it"),
} as const satisfies Record<string, ErrorEntry>;

/** Any code of {@link ERRORS}. */
export type ErrorCode = keyof typeof ERRORS;

/** True for a code that refuses a valid module. */
export function isPolicy(code: ErrorCode): boolean {
  const found: ErrorEntry = ERRORS[code];
  return found.policy === true;
}

/** What an error says of itself besides its text; plain data that survives structured cloning. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

const BRAND = Symbol.for("mortise.error");
const MAX_VALUE_CHARS = 300;

/** Makes guest-controlled text safe to print: control characters are escaped and the length is bounded. */
export function printable(value: unknown, maxChars: number = MAX_VALUE_CHARS): string {
  const text = typeof value === "string" ? value : toText(value);
  const short = text.length > maxChars ? `${text.slice(0, maxChars)}…` : text;
  // C0 and C1 controls, line separators and bidirectional overrides could forge log lines or rewrite a terminal.
  // oxlint-disable-next-line no-control-regex -- control characters are what this is about
  return short.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (char) =>
    char === "\n" ? "\\n" : `\\u${(char.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}

/** Any value as text, also one whose own conversion fails. */
function toText(value: unknown): string {
  try {
    return String(value);
  } catch {
    return typeof value;
  }
}

function fill(template: string, details: ErrorDetails): string {
  return template.replace(/\{(\w+)\}/g, (_place, name: string) => printable(details[name] ?? ""));
}

/**
 * The one error class. `code` is the contract; the text may improve between versions. Recognised by
 * {@link isMortiseError} across copies of the package.
 */
export class MortiseError extends Error {
  override readonly name = "MortiseError";
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, details: ErrorDetails = {}, cause?: unknown) {
    super(fill(ERRORS[code].message, details), cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = details;
  }

  get [BRAND](): true {
    return true;
  }

  /** HTTP status a server should answer with. */
  get status(): number {
    return ERRORS[this.code].status;
  }

  /** Plain data for logs and other threads; never holds a stack. */
  toJSON(): { code: ErrorCode; message: string; details: ErrorDetails } {
    return { code: this.code, message: this.message, details: this.details };
  }
}

/** True for an error of Mortise, also of another copy of the package. */
export function isMortiseError(value: unknown): value is MortiseError {
  return typeof value === "object" && value !== null && (value as Record<symbol, unknown>)[BRAND] === true;
}
