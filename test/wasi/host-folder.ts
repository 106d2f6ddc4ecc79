// Folders of the host for tests: each has content to begin with, and something beside it that no guest may see.

import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** A name that ends with "/" is an empty folder, an object is a link. */
export type Content = string | { readonly link: string };

/** A temporary folder; it goes when it is disposed of. */
export interface HostFolder extends Disposable {
  /** The folder to grant. */
  readonly path: string;
  /** The folder around it. */
  readonly outside: string;
}

/** Makes a folder with content by relative path, "../" leading out of what is granted. */
export function hostFolder(content: Readonly<Record<string, Content>> = {}): HostFolder {
  const outside = realpathSync(mkdtempSync(join(tmpdir(), "mortise-wasi-")));
  const path = join(outside, "granted");
  mkdirSync(path);
  for (const [name, value] of Object.entries(content)) {
    const full = join(path, name);
    if (name.endsWith("/")) {
      mkdirSync(full, { recursive: true });
      continue;
    }
    mkdirSync(dirname(full), { recursive: true });
    if (typeof value === "string") writeFileSync(full, value);
    else symlinkSync(value.link, full);
  }
  return { path, outside, [Symbol.dispose]: () => rmSync(outside, { recursive: true, force: true }) };
}
