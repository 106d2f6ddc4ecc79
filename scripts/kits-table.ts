// The plugins of Extism's kits: what each is made from, and what stands between it and the ABI.
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Those with QueryMT's interface; the number is its generation. */
export type ProviderKitName = "provider3-rust" | "provider2-rust" | "provider3-go" | "provider2-go";
/** The providers that are shipped, and the one that the documentation has in full. */
export type ShippedProviderName = "provider-openai" | "provider-anthropic" | "provider-google" | "provider-minimal";
export type KitName = "rust" | "go" | "assemblyscript" | "c" | "zig" | "javascript" | "argon2" | ProviderKitName | ShippedProviderName;

export interface Kit {
  /** The folder in `guests/kits`, and the built module's name without `.wasm`. */
  readonly name: KitName;
  /** What stands between the plugin and the ABI, with its version. */
  readonly kit: string;
  /** Files of the folder that the module is made from. */
  readonly files: readonly string[];
  /** Files of other folders, by the name that the compiler sees, relative to the root. */
  readonly borrowed?: Readonly<Record<string, string>>;
  /** False where the compiler or its packages come from elsewhere than npm, or the build takes long. */
  readonly cheap: boolean;
}

const AS_PDK = "node_modules/@extism/as-pdk";

/** What the shipped providers have in common. */
const COMMON = ["answers", "base64", "conversation", "exchange", "exports", "faults", "settings", "streams"];

function shippedProvider(name: ShippedProviderName, sources: readonly string[]): Kit {
  return {
    name,
    kit: "extism-pdk 1.4.1",
    files: ["Cargo.toml", "Cargo.lock", "src/lib.rs", ...sources.map((file) => `src/${file}.rs`)],
    borrowed: Object.fromEntries(COMMON.map((file) => [`src/${file}.rs`, `guests/kits/provider-common/${file}.rs`])),
    cheap: false,
  };
}

export const KITS: readonly Kit[] = [
  { name: "rust", kit: "extism-pdk 1.4.1", files: ["Cargo.toml", "Cargo.lock", "src/lib.rs"], cheap: false },
  { name: "go", kit: "github.com/extism/go-pdk v1.1.3", files: ["go.mod", "go.sum", "main.go"], cheap: false },
  {
    name: "assemblyscript",
    kit: "@extism/as-pdk 1.0.0",
    files: ["index.ts"],
    borrowed: Object.fromEntries(["index.ts", "lib/pdk.ts", "lib/env.ts"].map((file) => [`${AS_PDK}/${file}`, `${AS_PDK}/${file}`])),
    cheap: true,
  },
  {
    name: "c",
    kit: "guests/c/extism.h, a header of our own",
    files: ["plugin.c"],
    borrowed: Object.fromEntries(["extism.h", "heap.h", "text.h"].map((file) => [file, `guests/c/${file}`])),
    cheap: true,
  },
  { name: "zig", kit: "none: imports of its own", files: ["plugin.zig"], cheap: false },
  {
    name: "javascript",
    kit: "QuickJS 2025-04-26 with an engine of our own",
    files: ["engine.c", "prelude.js", "plugin.js", "plugin.d.ts"],
    cheap: false,
  },
  { name: "argon2", kit: "extism-pdk 1.4.1", files: ["Cargo.toml", "Cargo.lock", "src/lib.rs"], cheap: false },
  { name: "provider3-rust", kit: "extism-pdk 1.4.1", files: ["Cargo.toml", "Cargo.lock", "src/lib.rs", "src/wire.rs"], cheap: false },
  {
    name: "provider2-rust",
    kit: "extism-pdk 1.4.1",
    files: ["Cargo.toml", "Cargo.lock", "src/lib.rs"],
    borrowed: { "src/wire.rs": "guests/kits/provider3-rust/src/wire.rs" },
    cheap: false,
  },
  { name: "provider3-go", kit: "github.com/extism/go-pdk v1.1.3", files: ["go.mod", "go.sum", "main.go", "wire.go"], cheap: false },
  {
    name: "provider2-go",
    kit: "github.com/extism/go-pdk v1.1.3",
    files: ["go.mod", "go.sum", "main.go"],
    borrowed: { "wire.go": "guests/kits/provider3-go/wire.go" },
    cheap: false,
  },
  shippedProvider("provider-openai", ["wire", "messages", "events"]),
  shippedProvider("provider-anthropic", ["wire", "messages", "events"]),
  shippedProvider("provider-google", ["wire", "messages", "events", "schemas"]),
  { name: "provider-minimal", kit: "extism-pdk 1.4.1", files: ["Cargo.toml", "Cargo.lock", "src/lib.rs"], cheap: false },
];

const ROOT = join(import.meta.dirname, "..");
export const KITS_FOLDER: string = join(ROOT, "guests", "kits");

export function kitNamed(name: string): Kit {
  const kit = KITS.find((candidate) => candidate.name === name);
  if (kit === undefined) throw new Error(`There is no kit "${name}"; there are ${KITS.map((each) => each.name).join(", ")}`);
  return kit;
}

/** What the compiler reads, by the name that it sees. */
export function readKitSources(kit: Kit): Map<string, string> {
  const own = kit.files.map((file) => [file, readFileSync(join(KITS_FOLDER, kit.name, file), "utf8")] as const);
  const borrowed = Object.entries(kit.borrowed ?? {}).map(([name, path]) => [name, readFileSync(join(ROOT, path), "utf8")] as const);
  return new Map([...own, ...borrowed]);
}
