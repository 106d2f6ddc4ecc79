// Coded errors in the shape that code for @extism/extism expects: its classes, and texts that it looks for.

import { type ErrorCode, type ErrorDetails, MortiseError, isMortiseError } from "../api/errors.ts";

/** Class and text of an error; what is left out is that of the coded error. */
export interface FailureShape {
  readonly kind?: new (message: string, options?: ErrorOptions) => Error;
  readonly text?: string;
}

const BRAND = Symbol.for("mortise.error");
const CompileError = WebAssembly.CompileError as NonNullable<FailureShape["kind"]>;
const RuntimeError = WebAssembly.RuntimeError as NonNullable<FailureShape["kind"]>;

/** What the package throws where Mortise has these codes. Texts have `{name}` places that `details` fill. */
const SHAPES: Readonly<Partial<Record<ErrorCode, FailureShape>>> = {
  MORTISE_NOT_WASM: { kind: CompileError },
  MORTISE_WASM_TEXT: { kind: CompileError },
  MORTISE_WASM_MALFORMED: { kind: CompileError },
  MORTISE_WASM_UNSUPPORTED: { kind: CompileError },
  MORTISE_WASM_INVALID: { kind: CompileError },
  MORTISE_SOURCE_NOT_FOUND: { text: "ENOENT: no such file or directory, open {source}" },
  MORTISE_INVALID_OPTION: { kind: TypeError },
  MORTISE_MANIFEST_INVALID: { kind: TypeError },
  MORTISE_DIGEST_MISMATCH: { text: "Plugin error: hash mismatch. Expected: {wanted}. Actual: {found}" },
  MORTISE_UNKNOWN_FUNCTION: { text: `Plugin error: function "{function}" does not exist` },
  MORTISE_REENTRANT: { text: "plugin is not reentrant" },
  MORTISE_TIMEOUT: { text: "EXTISM: call canceled due to timeout" },
  MORTISE_TRAP: { kind: RuntimeError, text: "{reason}" },
  MORTISE_STACK_OVERFLOW: { kind: RangeError, text: "Maximum call stack size exceeded" },
  MORTISE_GUEST_ERROR: { text: "Plugin-originated error: {reason}" },
  MORTISE_VAR_LIMIT: { text: "Plugin-originated error: var memory limit exceeded: {size} bytes requested, {limit} allowed" },
  MORTISE_PERMISSION: { text: "Call error: {what} is not allowed (no allowedHosts match)" },
  MORTISE_HTTP_DENIED: { text: `Call error: HTTP request to "{host}" is not allowed (no allowedHosts match "{host}"): {reason}` },
  MORTISE_HTTP_FAILED: { kind: TypeError, text: "fetch failed: {url}: {reason}" },
};

/** The plugin's own words are repeated as they are, as the package does. */
function fill(template: string, details: ErrorDetails): string {
  return template.replace(/\{(\w+)\}/g, (_place, name: string) => {
    const value = details[name];
    return typeof value === "string" || typeof value === "number" ? String(value) : "";
  });
}

/**
 * The error to throw for a coded one: of the class and with the text that the package has there, and with `code`, `details`
 * and `status` besides, so that isMortiseError knows it. What a host function threw comes out as it is.
 */
export function explain(error: unknown, shape?: FailureShape): unknown {
  if (!isMortiseError(error) || !(error instanceof MortiseError)) return error;
  if (error.code === "MORTISE_HOST_FUNCTION" && "cause" in error) return error.cause;
  const chosen = shape ?? SHAPES[error.code];
  if (chosen === undefined) return error;
  const { kind = Error } = chosen;
  const text = chosen.text === undefined ? error.message : fill(chosen.text, error.details);
  const shaped = new kind(text, { cause: error });
  const fixed = (value: unknown): PropertyDescriptor => ({ value, enumerable: false });
  return Object.defineProperties(shaped, {
    code: { value: error.code, enumerable: true },
    details: fixed(error.details),
    status: fixed(error.status),
    toJSON: fixed(() => ({ code: error.code, message: text, details: error.details })),
    [BRAND]: fixed(true),
  });
}
