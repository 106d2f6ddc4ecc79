// Builds the plugins of the kits again and compares them with guests/kits/prebuilt: `npm run kits [-- --write] [name…]`.
// With --write the prebuilt modules are replaced. Not a part of the tests: most of the compilers are not on npm.
import { sha256 } from "./guests-manifest.ts";
import { openKitGo } from "./kits-go.ts";
import { openKitJavaScript } from "./kits-javascript.ts";
import { readKitManifest, writeKit } from "./kits-manifest.ts";
import { openKitRust } from "./kits-rust.ts";
import { KITS, type Kit, type KitName, kitNamed, readKitSources } from "./kits-table.ts";
import { openKitZig } from "./kits-zig.ts";
import { openAssemblyScript } from "./toolchain-assemblyscript.ts";
import { openC } from "./toolchain-c.ts";
import { isMissing, type Toolchain, type ToolchainState } from "./toolchain-interface.ts";

const OPENERS: Readonly<Record<KitName, () => Promise<ToolchainState>>> = {
  rust: () => openKitRust("wasm32-unknown-unknown"),
  go: openKitGo,
  assemblyscript: openAssemblyScript,
  c: openC,
  zig: openKitZig,
  javascript: openKitJavaScript,
  // The salt comes from WASI.
  argon2: () => openKitRust("wasm32-wasip1"),
  // The target of every provider that QueryMT ships.
  "provider3-rust": () => openKitRust("wasm32-wasip1"),
  "provider2-rust": () => openKitRust("wasm32-wasip1"),
  "provider3-go": openKitGo,
  "provider2-go": openKitGo,
  "provider-openai": () => openKitRust("wasm32-wasip1"),
  "provider-anthropic": () => openKitRust("wasm32-wasip1"),
  "provider-google": () => openKitRust("wasm32-wasip1"),
  "provider-minimal": () => openKitRust("wasm32-wasip1"),
};

const FLAGS: Readonly<Partial<Record<KitName, readonly string[]>>> = {
  assemblyscript: ["-O3", "--converge", "--use", "abort=index/abort"],
  c: [
    "--target=wasm32-unknown-unknown",
    "-std=c17",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-ffreestanding",
    "-nostdlib",
    "-Os",
    "-Wl,--no-entry",
    "-Wl,-z,stack-size=16384",
    "-Wl,--strip-all",
  ],
};

/** The compiler of a kit, fetched if need be, or why it cannot be had. */
export function openKit(kit: Kit): Promise<ToolchainState> {
  return OPENERS[kit.name]();
}

/** @throws Error with the compiler's messages, also if its packages cannot be fetched */
export function compileKit(kit: Kit, toolchain: Toolchain): Promise<Uint8Array> {
  return toolchain.compile({ entry: kit.files[0] ?? "", sources: readKitSources(kit), flags: FLAGS[kit.name] ?? [] });
}

type Outcome = "same" | "written" | "differs" | "skipped" | "failed";

async function rebuild(kit: Kit, write: boolean): Promise<Outcome> {
  const toolchain = await openKit(kit);
  if (isMissing(toolchain)) {
    console.log(`${kit.name}: skipped, ${toolchain.missing}`);
    return "skipped";
  }
  let wasm: Uint8Array;
  try {
    wasm = await compileKit(kit, toolchain);
  } catch (error) {
    console.log(`${kit.name}: ${toolchain.version} failed: ${String(error).trim()}`);
    return "failed";
  }
  const known = readKitManifest()[kit.name];
  const built = `${wasm.length} bytes by ${toolchain.version}`;
  if (known?.sha256 === sha256(wasm) && known.compiler === toolchain.version && !write) {
    console.log(`${kit.name}: the same ${built}`);
    return "same";
  }
  if (write) {
    writeKit(kit, toolchain.version, wasm);
    console.log(`${kit.name}: written, ${built}`);
    return "written";
  }
  console.log(`${kit.name}: differs, ${built}; prebuilt are ${known?.bytes ?? 0} by ${known?.compiler ?? "nobody"}`);
  return "differs";
}

if (import.meta.main) {
  const words = process.argv.slice(2);
  const names = words.filter((word) => word !== "--write");
  for (const kit of names.length === 0 ? KITS : names.map(kitNamed)) {
    const outcome = await rebuild(kit, words.includes("--write"));
    if (outcome !== "same" && outcome !== "written") process.exitCode = 1;
  }
}
