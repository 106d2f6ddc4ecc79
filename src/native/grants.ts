// Which native files the operator allows: by path and digest, both.

import { createHash } from "node:crypto";
import { realpath } from "node:fs/promises";

import { MortiseError, printable } from "../api/errors.ts";
import { invalidOption } from "../api/limits.ts";

/** One file that may run in this process without a sandbox. */
export interface NativeGrant {
  /** Path of the file; links in it are followed when it is compared. */
  readonly path: string;
  /** SHA-256 of the file in hexadecimal, with or without `sha256:` in front. */
  readonly digest: string;
}

/** A file as it was read. */
export interface NativeFile {
  /** Its path without links. */
  readonly path: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** SHA-256 of these bytes in hexadecimal. */
  readonly digest: string;
}

const DIGEST = /^(?:sha256:)?([0-9a-f]{64})$/i;

/** SHA-256 in hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The digest as it is compared. @throws MortiseError MORTISE_INVALID_OPTION */
export function readDigest(option: string, digest: unknown): string {
  const hex = typeof digest === "string" ? DIGEST.exec(digest)?.[1] : undefined;
  if (hex === undefined) throw invalidOption(option, printable(digest), "a SHA-256 of 64 hexadecimal digits");
  return hex.toLowerCase();
}

/**
 * Refuses a file that is not allowed with exactly these bytes.
 *
 * @throws MortiseError MORTISE_NATIVE_REFUSED, which says what would allow it; MORTISE_INVALID_OPTION for a grant that is none
 */
export async function checkGrants(file: NativeFile, allow: readonly NativeGrant[]): Promise<void> {
  const digests = allow.map(({ digest }, index) => readDigest(`native[${index}].digest`, digest));
  let other: string | undefined;
  for (const [index, { path }] of allow.entries()) {
    if (typeof path !== "string" || path === "") throw invalidOption(`native[${index}].path`, printable(path), "a path");
    if ((await realPath(path)) !== file.path) continue;
    if (digests[index] === file.digest) return;
    other ??= digests[index];
  }
  const reason =
    other === undefined
      ? "it would run without a sandbox, and nothing allows that for this file"
      : `it was changed: its SHA-256 is ${file.digest}, but only ${other} is allowed`;
  throw refused(file.path, reason, grantLine(file));
}

/** The error for a file that does not run. */
export function refused(path: string, reason: string, grant?: string, cause?: unknown): MortiseError {
  const hint = grant === undefined ? "" : `; if you trust what it does, this allows it: ${grant}`;
  const details = { source: `"${printable(path)}"`, path, reason, ...(grant === undefined ? {} : { grant }), hint };
  return new MortiseError("MORTISE_NATIVE_REFUSED", details, cause);
}

/** What allows a file, as it is written in mortise.toml. */
function grantLine({ path, digest }: NativeFile): string {
  return `native = [{ path = ${JSON.stringify(path)}, digest = "sha256:${digest}" }]`;
}

/** A path without links; undefined if there is no such file. */
async function realPath(path: string): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch {
    return undefined;
  }
}
