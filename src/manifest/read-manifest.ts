// Turns whatever a user names as a plugin's source into the bytes of its modules and checked settings.

import { basename, dirname, extname, resolve } from "node:path";

import { MortiseError, printable } from "../api/errors.ts";
import { manifestLimits } from "./bounded-bytes.ts";
import { type CheckedManifest, type ManifestDocument, checkManifest } from "./check-manifest.ts";
import type { CheckedModule, ModuleOrigin } from "./check-module.ts";
import { contentKind } from "./content-kind.ts";
import { type Deadline, startDeadline } from "./deadline.ts";
import { fileBytes } from "./file-bytes.ts";
import { type Network, httpBytes, responseBytes, shownUrl } from "./http-bytes.ts";
import type { ManifestSource, ReadManifestOptions, ResolvedManifest, ResolvedModule } from "./manifest.ts";
import { checkTextSize, decodeText, parseManifestText } from "./manifest-text.ts";
import { readModules, responseName, snapshot } from "./module-bytes.ts";
import { type NamedSource, nameSource } from "./source-kind.ts";

const DEFAULT_TIMEOUT_MS = 30_000;
/** Name of a plugin whose source has none. */
const NAMELESS = "plugin";
/** A manifest in messages that came as text or as an object. */
const TEXT_SOURCE = "the manifest";

/** What a plain module has of settings: none. */
const NO_SETTINGS: CheckedManifest["settings"] = {
  memory: { maxPages: undefined, maxHttpResponseBytes: undefined, maxVarBytes: undefined },
  allowedHosts: [],
  allowedPaths: [],
  config: Object.freeze(Object.create(null) as Record<string, string>),
  timeoutMs: undefined,
};

/** Bytes that hold a module or a manifest. */
interface Content {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly source: string;
  readonly name: string;
  /** Folder of a manifest's relative paths; undefined if the content came over the network. */
  readonly folder: string | undefined;
  /** Extension and media type. */
  readonly hints: readonly string[];
}

type Manuscript = ManifestDocument & { readonly text: string | undefined; readonly name: string | undefined };

/**
 * Reads a plugin's source: one module, or a manifest with its modules. Nothing that the manifest names is read before all
 * of it was checked.
 *
 * @throws MortiseError MORTISE_INVALID_OPTION for what is no source; MORTISE_SOURCE_NOT_FOUND, MORTISE_SOURCE_UNREADABLE,
 *   MORTISE_SOURCE_STATUS, MORTISE_SOURCE_TIMEOUT or MORTISE_SOURCE_ABORTED if it cannot be read; MORTISE_NOT_WASM or
 *   MORTISE_WASM_TEXT for what is neither; MORTISE_MODULE_LIMIT, MORTISE_MANIFEST_INVALID and MORTISE_DIGEST_MISMATCH
 */
export async function readManifest(source: ManifestSource, options: ReadManifestOptions): Promise<ResolvedManifest> {
  using deadline = startDeadline(options.timeoutMs ?? DEFAULT_TIMEOUT_MS, options.signal);
  const network: Network = { fetch: options.fetch ?? fetch, deadline };
  const opened = await open(nameSource(await settled(source, deadline)), options.maxBytes, network);
  if ("main" in opened) {
    const { name, main } = opened;
    return { name, from: "module", origin: { source: main.source }, modules: [main], ...NO_SETTINGS };
  }
  const { modules, settings } = checkManifest(opened, options.allowedPathKeys ?? "host");
  if (opened.text !== undefined) checkTextSize(opened.text, modules, opened.origin.source);
  return {
    name: opened.name ?? nameOfModule(modules.find(({ name }) => name === "main")),
    from: opened.folder === undefined ? "network" : "local",
    origin: opened.origin,
    modules: await readModules(opened.origin, modules, options.maxBytes, network),
    ...settings,
  };
}

async function settled(source: ManifestSource, deadline: Deadline): Promise<unknown> {
  const what = "the source";
  try {
    return await deadline.race<unknown>(what, Promise.resolve(source));
  } catch (error) {
    if (error instanceof MortiseError) throw error;
    throw new MortiseError("MORTISE_SOURCE_UNREADABLE", { source: what, reason: "the promise for it was rejected" }, error);
  }
}

async function open(named: NamedSource, maxBytes: number, network: Network): Promise<{ main: ResolvedModule; name: string } | Manuscript> {
  if (named.kind === "object")
    return { value: named.value, origin: { source: TEXT_SOURCE }, folder: process.cwd(), text: undefined, name: undefined };
  if (named.kind === "text") {
    const { text, format } = named;
    return { ...(await parseManifestText(text, format, TEXT_SOURCE)), folder: process.cwd(), text, name: undefined };
  }
  const { bytes, source, name, folder, hints } = await readContent(named, maxBytes, network);
  const kind = contentKind(bytes, source, hints);
  if (kind === "module") return { main: { name: "main", bytes, source }, name };
  const origin = named.kind === "bytes" ? TEXT_SOURCE : source;
  const text = decodeText(bytes, origin);
  return { ...(await parseManifestText(text, kind, origin)), folder, text, name: name === NAMELESS ? undefined : name };
}

async function readContent(named: Exclude<NamedSource, { kind: "text" | "object" }>, maxBytes: number, network: Network): Promise<Content> {
  const limits = manifestLimits(maxBytes);
  switch (named.kind) {
    case "file": {
      const bytes = await fileBytes(named.path, limits, network.deadline);
      const folder = dirname(resolve(named.path));
      return { bytes, source: `"${printable(named.path)}"`, name: nameOfPath(named.path), folder, hints: [extname(named.path)] };
    }
    case "url": {
      const request = { url: named.url, method: "GET", headers: new Headers() };
      const { bytes, mediaType } = await httpBytes(request, limits, network);
      return { bytes, source: shownUrl(named.url), name: nameOfUrl(named.url), folder: undefined, hints: [extname(named.url.pathname), mediaType] };
    }
    case "response": {
      const { response } = named;
      const source = responseName(response, "the response");
      const { bytes, mediaType } = await responseBytes(response, source, limits, network.deadline);
      const name = URL.canParse(response.url) ? nameOfUrl(new URL(response.url)) : NAMELESS;
      return { bytes, source, name, folder: undefined, hints: [mediaType] };
    }
    case "bytes": {
      const source = "the module";
      return { bytes: snapshot(named.bytes, source, limits), source, name: NAMELESS, folder: process.cwd(), hints: [] };
    }
    default:
      return named satisfies never;
  }
}

function nameOfModule(module: CheckedModule | undefined): string {
  const from: ModuleOrigin | undefined = module?.from;
  if (from?.kind === "file") return nameOfPath(from.path);
  return from?.kind === "url" ? nameOfUrl(from.request.url) : NAMELESS;
}

function nameOfPath(path: string): string {
  const name = basename(path).replace(/\.(?:wasm|json|toml)$/, "");
  return name === "" ? NAMELESS : name;
}

function nameOfUrl(url: URL): string {
  const last = url.pathname.split("/").findLast((part) => part !== "");
  try {
    return nameOfPath(decodeURIComponent(last ?? url.hostname));
  } catch {
    return nameOfPath(last ?? url.hostname);
  }
}
