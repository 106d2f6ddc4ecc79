// The guests that are built: what each is made from, and with which flags.

export type Language = "assemblyscript" | "c" | "rust" | "go";

export const LANGUAGES: readonly Language[] = ["assemblyscript", "c", "rust", "go"];

export interface Guest {
  /** The entry's file name; the built module is named after it, with `.wasm` added. */
  readonly name: string;
  readonly language: Language;
  /** The other files it is made from, relative to the language's folder. */
  readonly includes: readonly string[];
  readonly flags: readonly string[];
  /** The folder of the entry inside the language's folder, when a guest is a folder of files. */
  readonly folder?: string;
}

const ASSEMBLYSCRIPT = ["-O3", "--converge", "--use", "abort="];
// What these take up in a call is forgotten when it is over, so that nothing has to be freed.
const ASSEMBLYSCRIPT_GATEWAY = [...ASSEMBLYSCRIPT, "--runtime", "stub", "--enable", "simd"];
const C = ["--target=wasm32-unknown-unknown", "-std=c17", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-nostdlib"];
// A small stack keeps the plugins within one page of memory.
const C_LINK = ["-Wl,--no-entry", "-Wl,-z,stack-size=16384"];
const C_RELEASE = [...C, "-O3", ...C_LINK, "-Wl,--strip-all"];
// Programs for WASI, with the C library that comes with the compiler.
const C_PROGRAM = ["--target=wasm32-wasip1", "-std=c17", "-Wall", "-Wextra", "-Werror", "-Oz", "-Wl,--strip-all"];
const RUST = ["--edition=2021", "-D", "warnings", "-C", "panic=abort", "-C", "lto=fat", "-C", "codegen-units=1"];
const RUST_RELEASE = [...RUST, "-C", "strip=symbols", "-C", "link-arg=-zstack-size=32768"];
// Plugins of the gateway are called for every request; their parsers need more of a stack.
const RUST_GATEWAY = [...RUST, "-C", "strip=symbols", "-C", "link-arg=-zstack-size=131072", "-C", "target-feature=+simd128", "-C", "opt-level=s"];
const GO = ["-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="];

export const GUESTS: readonly Guest[] = [
  // The tour: one plugin a language.
  {
    name: "vowels.ts",
    language: "assemblyscript",
    includes: ["extism.ts", "utf8.ts"],
    flags: [...ASSEMBLYSCRIPT, "--runtime", "incremental"],
  },
  {
    name: "sha256.c",
    language: "c",
    includes: ["extism.h", "sha256_digest.h", "text.h"],
    flags: C_RELEASE,
  },
  {
    name: "word_frequency.rs",
    language: "rust",
    includes: ["extism.rs"],
    flags: [...RUST_RELEASE, "-C", "opt-level=s"],
  },
  {
    name: "readability.go",
    language: "go",
    folder: "readability",
    includes: ["go.mod", "extism.go"],
    flags: GO,
  },

  // The same small plugin three times, and copying without work.
  {
    name: "count_vowels.ts",
    language: "assemblyscript",
    includes: ["extism.ts"],
    flags: [...ASSEMBLYSCRIPT, "--runtime", "stub"],
  },
  { name: "count_vowels.c", language: "c", includes: ["extism.h", "text.h"], flags: C_RELEASE },
  {
    name: "count_vowels.rs",
    language: "rust",
    includes: ["extism.rs"],
    flags: [...RUST_RELEASE, "-C", "opt-level=3"],
  },
  { name: "echo.c", language: "c", includes: ["extism.h", "heap.h"], flags: C_RELEASE },
  {
    name: "echo.rs",
    language: "rust",
    includes: ["extism.rs"],
    flags: [...RUST_RELEASE, "-C", "opt-level=3"],
  },

  // Plugins for hooks.
  { name: "hooks.c", language: "c", includes: ["extism.h", "heap.h"], flags: C_RELEASE },
  {
    name: "hooks.ts",
    language: "assemblyscript",
    includes: ["extism.ts"],
    flags: [...ASSEMBLYSCRIPT, "--runtime", "incremental"],
  },

  // Plugins for notes: two versions of one, and one that calls another plugin and uses the store.
  {
    name: "tidy.ts",
    language: "assemblyscript",
    includes: ["note.ts", "linear.ts", "extism.ts"],
    flags: [...ASSEMBLYSCRIPT, "--runtime", "incremental"],
  },
  {
    name: "tidy_2.ts",
    language: "assemblyscript",
    includes: ["note.ts", "linear.ts", "extism.ts"],
    flags: [...ASSEMBLYSCRIPT, "--runtime", "incremental"],
  },
  {
    name: "stamp.ts",
    language: "assemblyscript",
    includes: ["note.ts", "linear.ts", "extism.ts"],
    flags: [...ASSEMBLYSCRIPT, "--runtime", "incremental"],
  },

  // Plugins that call plugins: by name, and by number.
  { name: "calls.c", language: "c", includes: ["message.h", "extism.h", "heap.h"], flags: C_RELEASE },
  { name: "registers.c", language: "c", includes: ["message.h", "extism.h", "heap.h"], flags: C_RELEASE },
  {
    name: "calls.ts",
    language: "assemblyscript",
    includes: ["message.ts", "extism.ts"],
    flags: [...ASSEMBLYSCRIPT, "--runtime", "incremental"],
  },
  {
    name: "registers.ts",
    language: "assemblyscript",
    includes: ["message.ts", "extism.ts"],
    flags: [...ASSEMBLYSCRIPT, "--runtime", "incremental"],
  },

  // Compute kernels without imports.
  {
    name: "kernels.ts",
    language: "assemblyscript",
    includes: [],
    flags: [...ASSEMBLYSCRIPT, "--runtime", "incremental"],
  },
  {
    name: "kernels.c",
    language: "c",
    includes: ["heap.h", "sha256_digest.h"],
    flags: [...C, "-O2", "-Wl,--no-entry", "-Wl,--strip-all"],
  },
  {
    name: "kernels.rs",
    language: "rust",
    includes: [],
    flags: [...RUST, "-C", "strip=symbols", "-C", "opt-level=2"],
  },

  // A program, not a plugin.
  { name: "word_count.c", language: "c", includes: [], flags: C_PROGRAM },

  // What a C library does with WASI: a program, and a plugin.
  { name: "wasi_tour.c", language: "c", includes: [], flags: C_PROGRAM },
  { name: "wasi_journal.c", language: "c", includes: ["extism.h", "text.h"], flags: [...C_PROGRAM, "-mexec-model=reactor"] },

  // Plugins for Bifrost, of its three generations and in every spelling of requests.
  { name: "bifrost_first.c", language: "c", includes: ["linear.h", "text.h"], flags: C_RELEASE },
  {
    name: "bifrost_tag.ts",
    language: "assemblyscript",
    includes: ["linear.ts"],
    flags: [...ASSEMBLYSCRIPT, "--runtime", "stub"],
  },
  {
    name: "bifrost_guard.rs",
    language: "rust",
    includes: ["linear.rs", "json.rs"],
    flags: [...RUST_RELEASE, "-C", "opt-level=s"],
  },
  {
    name: "gateway.go",
    language: "go",
    folder: "bifrost",
    includes: ["go.mod", "memory.go"],
    flags: GO,
  },

  // Plugins for HeliosProxy.
  { name: "helios_guard.c", language: "c", includes: ["linear.h", "heap.h", "text.h"], flags: C_RELEASE },
  {
    name: "helios_mask.rs",
    language: "rust",
    includes: ["linear.rs", "json.rs"],
    flags: [...RUST_RELEASE, "-C", "opt-level=s"],
  },
  {
    name: "helios_cost.ts",
    language: "assemblyscript",
    includes: ["linear.ts"],
    flags: [...ASSEMBLYSCRIPT, "--runtime", "stub"],
  },

  // A provider of models that has no models.
  {
    name: "provider_echo.c",
    language: "c",
    includes: ["extism.h", "heap.h", "json.h"],
    flags: [...C, "-Os", ...C_LINK, "-Wl,--strip-all"],
  },

  // Plugins for the LLM gateway, with Bifrost's interface.
  {
    name: "gateway_pii.rs",
    language: "rust",
    includes: [
      "gateway_arena.rs",
      "gateway_json.rs",
      "pii_match.rs",
      "pii_numbers.rs",
      "pii_redact.rs",
      "pii_scan.rs",
      "pii_stream.rs",
      "pii_text.rs",
      "pii_values.rs",
      "pii_whole.rs",
    ],
    flags: RUST_GATEWAY,
  },
  {
    name: "gateway_schema.rs",
    language: "rust",
    includes: ["gateway_arena.rs", "gateway_json.rs", "schema_check.rs", "schema_pattern.rs"],
    flags: RUST_GATEWAY,
  },
  {
    name: "gateway_guard.c",
    language: "c",
    includes: ["guard_texts.h", "guard_phrases.h", "fold_text.h", "fold_table.h", "gateway_json.h", "linear.h", "heap.h", "text.h"],
    flags: [...C_RELEASE, "-msimd128"],
  },
  {
    name: "gateway_budget.ts",
    language: "assemblyscript",
    includes: ["gateway.ts", "services.ts"],
    flags: ASSEMBLYSCRIPT_GATEWAY,
  },
  {
    name: "gateway_audit.ts",
    language: "assemblyscript",
    includes: ["audit_gaps.ts", "gateway.ts", "services.ts"],
    flags: ASSEMBLYSCRIPT_GATEWAY,
  },
  {
    name: "gateway_cache.ts",
    language: "assemblyscript",
    includes: ["gateway.ts", "services.ts"],
    flags: ASSEMBLYSCRIPT_GATEWAY,
  },
  {
    name: "code_names.ts",
    language: "assemblyscript",
    includes: ["gateway.ts", "services.ts"],
    flags: ASSEMBLYSCRIPT_GATEWAY,
  },

  // For the host's tests of what all interfaces have in common, and of each.
  { name: "extism_fixtures.c", language: "c", includes: ["block_fixtures.h", "extism.h", "heap.h", "text.h"], flags: C_RELEASE },
  { name: "querymt_fixtures.c", language: "c", includes: ["block_fixtures.h", "extism.h", "heap.h", "text.h"], flags: C_RELEASE },
  { name: "bifrost_fixtures.c", language: "c", includes: ["linear_fixtures.h", "linear.h", "heap.h", "text.h"], flags: C_RELEASE },
  { name: "helios_fixtures.c", language: "c", includes: ["linear_fixtures.h", "linear.h", "heap.h", "text.h"], flags: C_RELEASE },

  // For the host's tests; keeps its function names.
  {
    name: "fixtures.c",
    language: "c",
    includes: ["extism.h", "heap.h", "text.h"],
    flags: [...C, "-O1", ...C_LINK, "-Wl,--strip-debug"],
  },
];

/** The entry and everything it includes, relative to the language's folder. */
export function sourcePaths(guest: Guest): readonly string[] {
  const prefix = guest.folder === undefined ? "" : `${guest.folder}/`;
  return [guest.name, ...guest.includes].map((file) => prefix + file);
}

export function guestNamed(name: string): Guest {
  const guest = GUESTS.find((candidate) => candidate.name === name || `${candidate.name}.wasm` === name);
  if (guest === undefined) throw new Error(`There is no guest "${name}"; there are ${GUESTS.map((g) => g.name).join(", ")}`);
  return guest;
}
