// Reads the modules of a checked manifest, one after the other, and checks their digests.

import { extname } from "node:path";
import { types } from "node:util";

import { MortiseError, printable } from "../api/errors.ts";
import { base64Fault, base64Size, decodeBase64 } from "./base64.ts";
import { type ByteLimits, checkSize, tooLarge } from "./bounded-bytes.ts";
import type { CheckedModule } from "./check-module.ts";
import { checkModuleBytes } from "./content-kind.ts";
import { fileBytes } from "./file-bytes.ts";
import { type Network, httpBytes, responseBytes, shownUrl } from "./http-bytes.ts";
import type { ResolvedModule } from "./manifest.ts";
import { type Origin, faultAt, placeName } from "./place.ts";

type NamedModule = CheckedModule & { readonly name: string };

/** A module's bytes, what it is called in messages, and what its content may be told by. */
interface Content {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly source: string;
  readonly hints: readonly string[];
}

/**
 * Reads modules. Each in its turn, so that of several faults it is always the first that is told.
 *
 * @param maxBytes that they may have together
 * @throws MortiseError for what cannot be read, is too large, is no module, or has another digest
 */
export async function readModules(origin: Origin, modules: readonly NamedModule[], maxBytes: number, network: Network): Promise<ResolvedModule[]> {
  const resolved: ResolvedModule[] = [];
  let spent = 0;
  for (const module of modules) {
    const left = maxBytes - spent;
    const { bytes, source, hints } = await readModule(origin, module, { moduleBytes: left, otherBytes: left, spentBytes: spent }, network);
    spent += bytes.length;
    checkModuleBytes(bytes, source, hints);
    await checkDigest(bytes, source, module.digest);
    resolved.push({ name: module.name, bytes, source });
  }
  return resolved;
}

async function readModule(origin: Origin, { from, place }: NamedModule, limits: ByteLimits, network: Network): Promise<Content> {
  const inManifest = `${placeName(place)} of ${origin.source}`;
  switch (from.kind) {
    case "file":
      return { bytes: await fileBytes(from.path, limits, network.deadline), source: `"${printable(from.path)}"`, hints: [extname(from.path)] };
    case "url": {
      const { bytes, mediaType } = await httpBytes(from.request, limits, network);
      return { bytes, source: shownUrl(from.request.url), hints: [mediaType, extname(from.request.url.pathname)] };
    }
    case "response": {
      const source = responseName(from.response, inManifest);
      const { bytes, mediaType } = await responseBytes(from.response, source, limits, network.deadline);
      return { bytes, source, hints: [mediaType] };
    }
    case "bytes":
      return { bytes: snapshot(from.bytes, inManifest, limits), source: inManifest, hints: [] };
    case "base64": {
      const size = base64Size(from.text);
      if (size > limits.moduleBytes) throw tooLarge(inManifest, size, limits);
      const fault = base64Fault(from.text);
      if (fault !== undefined) throw faultAt(origin, [...place, "data"], fault);
      return { bytes: decodeBase64(from.text), source: inManifest, hints: [] };
    }
    default:
      return from satisfies never;
  }
}

/** An answer in messages: its URL, if it has one. */
export function responseName(response: Response, otherwise: string): string {
  return URL.canParse(response.url) ? shownUrl(new URL(response.url)) : otherwise;
}

/**
 * A copy of bytes that someone else may change, transfer or share.
 *
 * @throws MortiseError MORTISE_MODULE_LIMIT, or MORTISE_INVALID_OPTION if they were transferred away
 */
export function snapshot(bytes: Uint8Array | ArrayBuffer, source: string, limits: ByteLimits): Uint8Array<ArrayBuffer> {
  const buffer = types.isUint8Array(bytes) ? bytes.buffer : bytes;
  if ("detached" in buffer && buffer.detached)
    throw new MortiseError("MORTISE_INVALID_OPTION", { option: "source", found: "a buffer that was transferred away", wanted: "the module's bytes" });
  const view = types.isUint8Array(bytes) ? bytes : new Uint8Array(bytes);
  checkSize(source, view.length, view[0], limits, view.length);
  // Of a view, only what it shows.
  return new Uint8Array(view);
}

/** Off the thread: hashing a large module would hold it for tenths of a second. */
async function checkDigest(bytes: Uint8Array<ArrayBuffer>, source: string, wanted: string | undefined): Promise<void> {
  if (wanted === undefined) return;
  const found = Buffer.from(await crypto.subtle.digest("SHA-256", bytes)).toString("hex");
  if (found !== wanted) throw new MortiseError("MORTISE_DIGEST_MISMATCH", { source, found, wanted });
}
