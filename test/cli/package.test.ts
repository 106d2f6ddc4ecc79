// What is packed: the plugins that `builtin:` names, the pages that messages name, and what runs the command.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";

import { BUILTINS, builtinOf } from "../../src/config/builtins.ts";
import { ROOT } from "./run-cli.ts";

interface Manifest {
  readonly bin: { readonly mortise: string };
  readonly engines: { readonly node: string };
  readonly exports: Readonly<Record<string, string | { readonly source: string; readonly types: string; readonly default: string }>>;
}

const MANIFEST = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Manifest;
const run = promisify(execFile);

/** Paths in the package, but for those of `dist`, which may just be built anew. */
async function packed(): Promise<ReadonlySet<string>> {
  const shell = process.platform === "win32";
  const { stdout } = await run("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: ROOT, shell, maxBuffer: 16 << 20 });
  const [{ files }] = JSON.parse(stdout) as [{ readonly files: readonly { readonly path: string }[] }];
  return new Set(files.map(({ path }) => path));
}

describe("The package", () => {
  it("has every plugin that comes with Mortise, and none that nobody can name", async () => {
    const paths = await packed();
    const named = (["provider", "plugin"] as const).flatMap((kind) =>
      BUILTINS[kind].map((name) => {
        const found = builtinOf(`builtin:${name}`, kind);
        assert.ok(found !== undefined && "path" in found);
        return relative(ROOT, found.path).replaceAll("\\", "/");
      }),
    );
    assert.deepEqual([...paths].filter((path) => path.endsWith(".wasm")).toSorted(), named.toSorted());
    for (const page of ["docs/gateway-plugins.md", "docs/embedding.md", "docs/mortise.schema.json"]) assert.ok(paths.has(page), page);
  });

  it("has for each door what its source becomes", () => {
    const doors = Object.entries(MANIFEST.exports).filter(([name]) => name !== "./package.json");
    assert.ok(doors.some(([name]) => name === "./gateway"));
    for (const [name, door] of doors) {
      assert.ok(typeof door === "object", name);
      const built = door.source.replace("./src/", "./dist/").replace(/\.ts$/, "");
      assert.deepEqual([door.types, door.default], [`${built}.d.ts`, `${built}.js`]);
    }
  });
});

describe("mortise in an older Node.js", () => {
  it("says which one it needs, before it loads what that one does not have", async () => {
    const older = "data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'20.20.2'}})";
    const main = MANIFEST.bin.mortise.replace("dist/", "src/").replace(/\.js$/, ".ts");
    const failed = await run(process.execPath, ["--conditions=source", "--import", older, main, "serve"], { cwd: ROOT }).catch(
      (error: unknown) => error,
    );
    const { code, stdout, stderr } = failed as { readonly code?: number; readonly stdout: string; readonly stderr: string };
    assert.equal(MANIFEST.engines.node, ">=24");
    assert.deepEqual([code, stdout, stderr], [1, "", "mortise: it needs Node.js 24 or newer, and this is 20.20.2\n"]);
  });
});
