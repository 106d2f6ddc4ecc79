// HeliosProxy's artefacts: a tar.gz of manifest.json, plugin.wasm and, if it is signed, plugin.sig.

import { constants } from "node:buffer";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";

import { MortiseError } from "../api/errors.ts";
import { MAX_TEXT_BYTES, tooLarge } from "./bounded-bytes.ts";
import { checkModuleBytes } from "./content-kind.ts";
import { textOf } from "./fields.ts";
import { type HeliosForm, type HeliosManifest, checkHelios } from "./helios-manifest.ts";
import { readTar } from "./helios-tar.ts";
import { decodeText, parseManifestText } from "./manifest-text.ts";
import { faultAt, manifestFault, quoted } from "./place.ts";

/** A plugin as HeliosProxy packs it. */
export interface HeliosPlugin {
  readonly wasm: Uint8Array<ArrayBuffer>;
  /** Undefined if there is none anywhere. */
  readonly manifest: HeliosManifest | undefined;
}

const MANIFEST = "manifest.json";
const WASM = "plugin.wasm";
const SIGNATURE = "plugin.sig";
/** Bytes that an archive may have besides the module: the manifest, the signature, and what tar adds. */
const EXTRA_BYTES = 2 * MAX_TEXT_BYTES;
const SCHEMA_MAJOR = "1";
const REQUIRED = ["schemaVersion", "name", "version", "description", "license", "hooks", "wasmSha256"] as const;

const unzip = promisify(gunzip);

/** True for what gzip made. */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/**
 * Reads an artefact. Nothing is unpacked to a file system, and no more of it than `maxBytes` and 2 MiB to memory.
 *
 * @param source the artefact in messages
 * @param maxBytes that the module may have
 * @throws MortiseError MORTISE_MANIFEST_INVALID for a broken archive or manifest, MORTISE_MODULE_LIMIT,
 *   MORTISE_DIGEST_MISMATCH, or MORTISE_NOT_WASM
 */
export async function readHeliosArtefact(
  bytes: Uint8Array,
  source: string,
  maxBytes: number,
): Promise<HeliosPlugin & { readonly manifest: HeliosManifest }> {
  const files = new Map(readTar(await inflate(bytes, source, maxBytes), source));
  const manifestBytes = files.get(MANIFEST) ?? missing(source, MANIFEST, files);
  const wasm = files.get(WASM) ?? missing(source, WASM, files);
  const limits = { moduleBytes: maxBytes, otherBytes: maxBytes, spentBytes: 0 };
  if (wasm.length > maxBytes) throw tooLarge(source, wasm.length, limits);
  const { manifest, digest } = await readManifestJson(manifestBytes, `${MANIFEST} of ${source}`);
  const found = Buffer.from(await crypto.subtle.digest("SHA-256", wasm)).toString("hex");
  if (found !== digest) throw new MortiseError("MORTISE_DIGEST_MISMATCH", { source: `${WASM} of ${source}`, found, wanted: digest });
  checkModuleBytes(wasm, `${WASM} of ${source}`, []);
  const text = files.get(SIGNATURE);
  const signature = text === undefined ? undefined : (readSignature(text) ?? badSignature(source));
  // A copy, so that the rest of the archive need not be kept.
  return { wasm: wasm.slice(), manifest: signature === undefined ? manifest : { ...manifest, signature } };
}

async function inflate(bytes: Uint8Array, source: string, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const maxOutputLength = Math.min(maxBytes + EXTRA_BYTES, constants.MAX_LENGTH);
  try {
    const { buffer, byteOffset, byteLength } = await unzip(bytes, { maxOutputLength });
    return new Uint8Array(buffer, byteOffset, byteLength);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(source, undefined, { moduleBytes: maxBytes, otherBytes: maxBytes, spentBytes: 0 });
    throw manifestFault(source, `it cannot be decompressed: ${message}`);
  }
}

async function readManifestJson(bytes: Uint8Array, source: string): Promise<{ manifest: HeliosManifest; digest: string }> {
  if (bytes.length > MAX_TEXT_BYTES) throw manifestFault(source, `it has ${bytes.length} bytes, but may have ${MAX_TEXT_BYTES}`);
  const { value, origin } = await parseManifestText(decodeText(bytes, source), "json", source);
  const form: HeliosForm = { what: "the manifest of an artefact", required: REQUIRED, lenient: isLaterMinor(value) };
  const { manifest, fields } = checkHelios(origin, value, form, "plugin");
  const { schemaVersion, wasmSha256, signatureAlgorithm } = fields;
  if (schemaVersion !== undefined) {
    const version = textOf(origin, schemaVersion);
    if (!/^\d{1,4}\.\d{1,4}$/.test(version) || !version.startsWith(`${SCHEMA_MAJOR}.`))
      throw faultAt(origin, schemaVersion.place, `is ${quoted(version)} but must be 1.0, or 1 with another minor version`);
  }
  if (signatureAlgorithm !== undefined && signatureAlgorithm.value !== "ed25519")
    throw faultAt(origin, signatureAlgorithm.place, 'is not "ed25519", the one algorithm there is');
  const digest = wasmSha256 === undefined ? "" : textOf(origin, wasmSha256);
  if (!/^[0-9a-f]{64}$/.test(digest))
    throw faultAt(origin, wasmSha256?.place ?? [], `is ${quoted(digest)} but must be the 64 hexadecimal digits of a SHA-256, in lower case`);
  return { manifest, digest };
}

/** A later version of the format may have more keys. */
function isLaterMinor(value: unknown): boolean {
  const version = typeof value === "object" && value !== null && "schema_version" in value ? value.schema_version : undefined;
  return typeof version === "string" && version.startsWith(`${SCHEMA_MAJOR}.`) && version !== `${SCHEMA_MAJOR}.0`;
}

/** The 64 bytes of a signature, or undefined for what is none. */
export function readSignature(text: Uint8Array): Uint8Array | undefined {
  if (text.length > 1024) return undefined;
  const base64 = new TextDecoder().decode(text).trim();
  return /^[A-Za-z0-9+/]{86}==$/.test(base64) ? new Uint8Array(Buffer.from(base64, "base64")) : undefined;
}

function badSignature(source: string): never {
  throw manifestFault(`${SIGNATURE} of ${source}`, "it is not base64 of the 64 bytes of an Ed25519 signature");
}

function missing(source: string, name: string, files: ReadonlyMap<string, unknown>): never {
  const found = [...files.keys()].slice(0, 5).map(quoted);
  throw manifestFault(source, `it has no ${name}${found.length === 0 ? ", and no other file" : `, but ${found.join(", ")}`}`);
}
