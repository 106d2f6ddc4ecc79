// Runs an ES module from bytes that were checked. Its text goes to the engine as it is, under a name that no other code
// can import, so that no file and no folder is read again.

import { isBuiltin, registerHooks } from "node:module";
import { basename } from "node:path";

import { type NativeFile, refused } from "./grants.ts";

const strict = new TextDecoder("utf-8", { fatal: true });

let loaded = 0;
/** Paths of native modules, and the texts of those that are being loaded, by the addresses that the engine knows them by. */
const paths = new Map<string, string>();
const sources = new Map<string, string>();
let hooked = false;

/**
 * Evaluates a module and gives its exports. It may import what is built into Node.js, and nothing else: the digest covers
 * one file.
 *
 * @throws MortiseError MORTISE_NATIVE_REFUSED for text that is not UTF-8, or an import of another file; otherwise what the
 *   module throws, or why the engine cannot read it
 */
export async function loadModule(file: NativeFile): Promise<Readonly<Record<string, unknown>>> {
  const source = textOf(file);
  // Each load is a module of its own: one that was closed and is loaded again begins anew.
  const url = `mortise-native:${++loaded}/${encodeURIComponent(basename(file.path))}`;
  refuseImports();
  paths.set(url, file.path);
  sources.set(url, source);
  try {
    return (await import(url)) as Readonly<Record<string, unknown>>;
  } finally {
    sources.delete(url);
  }
}

/** From the first native module on, since a function of one may import something whenever it is called. */
function refuseImports(): void {
  if (hooked) return;
  hooked = true;
  registerHooks({
    resolve(specifier, context, next) {
      const importer = paths.get(context.parentURL ?? "");
      if (importer !== undefined && !isBuiltin(specifier)) throw importRefused(importer, specifier);
      return sources.has(specifier) ? { url: specifier, format: "module", shortCircuit: true } : next(specifier, context);
    },
    load(url, context, next) {
      const source = sources.get(url);
      return source === undefined ? next(url, context) : { format: "module", source, shortCircuit: true };
    },
  });
}

function textOf({ path, bytes }: NativeFile): string {
  try {
    return strict.decode(bytes);
  } catch (error) {
    throw refused(path, "it is not UTF-8 text", undefined, error);
  }
}

function importRefused(path: string, specifier: string): Error {
  return refused(path, `it imports "${specifier}", which its digest does not cover; bundle it into one file`);
}
