// Runs an ES module from bytes that were checked. Its text goes to the engine as it is, under a name that no other code
// can import, so that no file and no folder is read again.

import { isBuiltin, registerHooks } from "node:module";
import { basename } from "node:path";

import { type NativeFile, refused } from "./grants.ts";

const strict = new TextDecoder("utf-8", { fatal: true });

let loaded = 0;

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
  const hooks = registerHooks({
    resolve(specifier, context, next) {
      if (specifier === url) return { url, format: "module", shortCircuit: true };
      if (context.parentURL === url && !isBuiltin(specifier)) throw importRefused(file, specifier);
      return next(specifier, context);
    },
    load: (wanted, context, next) => (wanted === url ? { format: "module", source, shortCircuit: true } : next(wanted, context)),
  });
  try {
    return (await import(url)) as Readonly<Record<string, unknown>>;
  } finally {
    // An import later on fails by itself: nothing is relative to this address.
    hooks.deregister();
  }
}

function textOf({ path, bytes }: NativeFile): string {
  try {
    return strict.decode(bytes);
  } catch (error) {
    throw refused(path, "it is not UTF-8 text", undefined, error);
  }
}

function importRefused({ path }: NativeFile, specifier: string): Error {
  return refused(path, `it imports "${specifier}", which its digest does not cover; bundle it into one file`);
}
