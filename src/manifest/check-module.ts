// Checks one module of a manifest: where it comes from, its name and its digest.

import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { types } from "node:util";

import { type Field, type Fields, readFields, tagOf, textOf, textsOf } from "./fields.ts";
import { type Origin, type Place, faultAt, kindOf, quoted } from "./place.ts";

/** A request for a module. */
export interface ModuleRequest {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
}

/** Where a module's bytes come from. */
export type ModuleOrigin =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "url"; readonly request: ModuleRequest }
  | { readonly kind: "base64"; readonly text: string }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array | ArrayBuffer }
  | { readonly kind: "response"; readonly response: Response };

/** A module that still has to be read. */
export interface CheckedModule {
  readonly from: ModuleOrigin;
  /** Where the manifest says so. */
  readonly place: Place;
  readonly name: string | undefined;
  /** SHA-256 in lower case. */
  readonly digest: string | undefined;
}

const MODULE_KEYS = {
  path: undefined,
  url: undefined,
  headers: undefined,
  method: undefined,
  data: undefined,
  response: undefined,
  module: undefined,
  name: undefined,
  hash: undefined,
} as const;
type ModuleFields = Fields<keyof typeof MODULE_KEYS>;

const ORIGINS = ["path", "url", "data", "response", "module"] as const;
/** Methods that fetch refuses, or whose answer has no body. */
const METHODS_WITHOUT_BODY: ReadonlySet<string> = new Set(["CONNECT", "HEAD", "TRACE", "TRACK"]);

/**
 * Checks one module.
 *
 * @param folder that a relative path starts from; undefined where paths are refused
 * @throws MortiseError MORTISE_MANIFEST_INVALID
 */
export function checkModule(origin: Origin, field: Field, folder: string | undefined): CheckedModule {
  const fields = readFields(origin, field, "a module", MODULE_KEYS);
  const [first, second] = ORIGINS.filter((key) => fields[key] !== undefined);
  if (first === undefined) throw faultAt(origin, field.place, "names no module; give it one of path, url and data");
  if (second !== undefined) throw faultAt(origin, field.place, `has both ${first} and ${second}; give one of them`);
  for (const key of ["headers", "method"] as const) {
    const extra = fields[key];
    if (extra !== undefined && first !== "url") throw faultAt(origin, extra.place, "stands beside a url only");
  }
  const digest = checkDigest(origin, fields);
  return {
    from: moduleOrigin(origin, fields, folder),
    place: field.place,
    name: fields.name === undefined ? undefined : textOf(origin, fields.name),
    digest,
  };
}

function moduleOrigin(origin: Origin, fields: ModuleFields, folder: string | undefined): ModuleOrigin {
  if (fields.path !== undefined) return pathOrigin(origin, fields.path, folder);
  if (fields.url !== undefined) return urlOrigin(origin, fields.url, fields, folder);
  if (fields.data !== undefined) return dataOrigin(origin, fields.data);
  if (fields.response !== undefined) return responseOrigin(origin, fields.response);
  throw refuseCompiled(origin, fields.module as Field, fields.hash);
}

/** A compiled module has no bytes: they can neither be instrumented nor hashed. */
function refuseCompiled(origin: Origin, { value, place }: Field, hash: Field | undefined): Error {
  if (tagOf(value) !== "WebAssembly.Module") return faultAt(origin, place, `is ${kindOf(value)} but must be a WebAssembly.Module`);
  if (hash !== undefined) return faultAt(origin, hash.place, "cannot be checked: a compiled module has no bytes any more; give them as data");
  return faultAt(origin, place, "is a compiled module, which cannot be instrumented; give its bytes as data");
}

function checkDigest(origin: Origin, { hash }: ModuleFields): string | undefined {
  if (hash === undefined) return undefined;
  const { value, place } = hash;
  if (typeof value === "string" && /^[0-9a-fA-F]{64}$/.test(value)) return value.toLowerCase();
  throw faultAt(origin, place, `is ${kindOf(value)} but must be the 64 hexadecimal digits of a SHA-256`);
}

function pathOrigin(origin: Origin, field: Field, folder: string | undefined): ModuleOrigin {
  const path = textOf(origin, field);
  if (/^https?:\/\//i.test(path)) throw faultAt(origin, field.place, "is a URL; give it as url");
  if (/^file:/i.test(path)) return fileOrigin(origin, field.place, path, folder);
  if (folder === undefined) throw networkPath(origin, field.place);
  return { kind: "file", path: resolve(folder, path) };
}

function urlOrigin(origin: Origin, field: Field, { headers, method }: ModuleFields, folder: string | undefined): ModuleOrigin {
  const { value, place } = field;
  const text = tagOf(value) === "URL" ? (value as URL).href : textOf(origin, field);
  // A relative URL is most often a path; what does not parse may hold a password, so that it is not shown.
  if (!URL.canParse(text)) throw faultAt(origin, place, "is not an absolute URL; give a file as path");
  const url = new URL(text);
  if (url.protocol === "file:") {
    const extra = headers ?? method;
    if (extra !== undefined) throw faultAt(origin, extra.place, "stands beside a url of the network only");
    return fileOrigin(origin, place, text, folder);
  }
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw faultAt(origin, place, `is a URL of ${quoted(url.protocol)} but must be one of http:, https: or file:`);
  return { kind: "url", request: { url, method: checkMethod(origin, method), headers: checkHeaders(origin, headers) } };
}

function fileOrigin(origin: Origin, place: Place, text: string, folder: string | undefined): ModuleOrigin {
  if (folder === undefined) throw networkPath(origin, place);
  try {
    return { kind: "file", path: fileURLToPath(text) };
  } catch {
    throw faultAt(origin, place, `is ${quoted(text)}, which is not a file of this machine`);
  }
}

function networkPath(origin: Origin, place: Place): Error {
  return faultAt(origin, place, "names a file of this machine, which a manifest from the network may not; give a url or data");
}

function checkMethod(origin: Origin, field: Field | undefined): string {
  if (field === undefined) return "GET";
  const method = textOf(origin, field).toUpperCase();
  if (/^[A-Z]{1,20}$/.test(method) && !METHODS_WITHOUT_BODY.has(method)) return method;
  throw faultAt(origin, field.place, `is ${kindOf(field.value)} but must be a method whose answer is the module, such as GET`);
}

function checkHeaders(origin: Origin, field: Field | undefined): Headers {
  const headers = new Headers();
  for (const [name, { value, place }] of textsOf(origin, field)) {
    try {
      if (headers.has(name)) throw faultAt(origin, place, "is given twice");
      headers.set(name, value);
    } catch (error) {
      // Values are not shown: they may be credentials.
      if (error instanceof TypeError) throw faultAt(origin, place, "is not a header of HTTP");
      throw error;
    }
  }
  return headers;
}

function dataOrigin(origin: Origin, { value, place }: Field): ModuleOrigin {
  if (typeof value === "string") return { kind: "base64", text: value };
  if (types.isUint8Array(value) || types.isArrayBuffer(value)) return { kind: "bytes", bytes: value };
  const isPointer = typeof value === "object" && value !== null && "ptr" in value;
  if (isPointer) throw faultAt(origin, place, "is an address in memory, which means nothing here; give the bytes, or base64 of them");
  throw faultAt(origin, place, `is ${kindOf(value)} but must be bytes, or base64 of them`);
}

function responseOrigin(origin: Origin, { value, place }: Field): ModuleOrigin {
  if (tagOf(value) === "Response") return { kind: "response", response: value as Response };
  throw faultAt(origin, place, `is ${kindOf(value)} but must be a Response`);
}
