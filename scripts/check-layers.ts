// Enforces that imports point one way: a folder may import the folders listed for it and its own, nothing else.

import { readFileSync } from "node:fs";
import { glob } from "node:fs/promises";
import { dirname, relative, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");

/** What each layer of src/ may import. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  api: [],
  wasm: ["api"],
  wasi: ["api"],
  abi: ["api", "wasm", "wasi"],
  host: ["api", "wasm", "wasi", "abi"],
  isolation: ["api", "wasm", "wasi", "abi", "host"],
  hooks: ["api", "wasm", "wasi", "abi", "host"],
  native: ["api", "wasm", "abi", "host"],
  services: ["api"],
  manifest: ["api"],
  loader: ["api", "wasm", "wasi", "abi", "host", "services", "manifest", "native", "isolation"],
  config: ["api", "wasi", "abi", "host", "hooks", "manifest", "services"],
  providers: ["api", "wasm", "wasi", "abi", "host", "services", "manifest", "loader"],
  telemetry: ["api", "host", "hooks"],
  manager: ["api", "wasm", "wasi", "abi", "host", "hooks", "services", "manifest", "loader", "config"],
  extism: ["api", "wasm", "wasi", "abi", "host", "services", "manifest", "loader"],
  // Stands on the doors alone, by the package's name.
  gateway: [],
  cli: ["api", "wasm", "wasi", "abi", "host", "manifest", "native", "loader", "config", "manager", "telemetry", "gateway"],
};
/** Layers without a runtime dependency. */
const CORE = new Set(["api", "wasm", "wasi", "abi", "host", "isolation", "hooks"]);
const IMPORT = /(?:^|\n)\s*(?:import|export)\s[^;]*?from\s*"([^"]+)"|import\(\s*"([^"]+)"\s*\)|(?:^|\n)import\s*"([^"]+)"/g;

const problems: string[] = [];
for await (const file of glob("src/**/*.ts", { cwd: root })) {
  const layer = file.split("/")[1] ?? "";
  const isDoor = file === "src/index.ts";
  if (!isDoor && !Object.hasOwn(LAYERS, layer)) problems.push(`${file}: folder "${layer}" has no place in the layers`);
  for (const match of readFileSync(resolve(root, file), "utf8").matchAll(IMPORT)) {
    const target = match[1] ?? match[2] ?? match[3] ?? "";
    if (target.startsWith(".")) {
      const path = relative(root, resolve(root, dirname(file), target));
      const other = path.split("/")[1] ?? "";
      if (file.endsWith(".test.ts") && path.startsWith("test/")) continue;
      if (isDoor || other === layer) continue;
      if (path === "src/index.ts" ? layer !== "cli" : LAYERS[layer]?.includes(other) !== true)
        problems.push(`${file}: ${layer} may not import ${path}`);
    } else if (!target.startsWith("node:") && CORE.has(layer) && !file.endsWith(".test.ts")) {
      problems.push(`${file}: the host core has no runtime dependency, but it imports "${target}"`);
    }
  }
}
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
else console.log("layers: imports point one way");
