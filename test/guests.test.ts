// The prebuilt guests: made from the sources that are here, reproducible, and right.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";

import { type CallContext, type Plugin, createPlugin } from "@extism/extism";

import { compileGuest, openToolchain } from "../scripts/guests.ts";
import { readManifest, readPrebuilt, sha256, sourceDigests } from "../scripts/guests-manifest.ts";
import { GUESTS, guestNamed, LANGUAGES, type Guest, type Language } from "../scripts/guests-table.ts";
import { isMissing, type Toolchain } from "../scripts/toolchain-interface.ts";

const manifest = readManifest();

function entryOf(guest: Guest): (typeof manifest)[string] {
  const entry = manifest[`${guest.name}.wasm`];
  assert.ok(entry, `${guest.name}.wasm is not in the manifest: run npm run guests`);
  return entry;
}

describe("The manifest of prebuilt guests", () => {
  it("names every guest of the table and no other", () => {
    assert.deepEqual(
      Object.keys(manifest),
      GUESTS.map((guest) => `${guest.name}.wasm`),
    );
  });

  for (const guest of GUESTS) {
    it(`has the digests and flags that ${guest.name} has now`, () => {
      const entry = entryOf(guest);
      assert.deepEqual(entry.sources, sourceDigests(guest), "sources changed: run npm run guests");
      assert.deepEqual(entry.flags, guest.flags, "flags changed: run npm run guests");
    });

    it(`describes the file ${guest.name}.wasm`, () => {
      const entry = entryOf(guest);
      const wasm = readPrebuilt(guest);
      assert.equal(sha256(wasm), entry.sha256);
      assert.equal(wasm.length, entry.bytes);
    });
  }

  it("lists no module above 100 kB except Go's", () => {
    const large = Object.entries(manifest).filter(([, entry]) => entry.bytes > 100_000 && entry.language !== "go");
    assert.deepEqual(large, []);
  });
});

/** The toolchain that made the prebuilt files, or why there is none here. */
async function toolchainOfPrebuilt(language: Language): Promise<Toolchain | string> {
  const toolchain = await openToolchain(language);
  if (isMissing(toolchain)) return `no ${language} compiler: ${toolchain.missing}`;
  const stale = GUESTS.find((guest) => guest.language === language && entryOf(guest).compiler !== toolchain.version);
  if (stale === undefined) return toolchain;
  return `${stale.name}.wasm was built by ${entryOf(stale).compiler}, this machine has ${toolchain.version}`;
}

describe("A guest built again", () => {
  for (const language of LANGUAGES) {
    it(`has the same bytes for every ${language} guest`, async (t) => {
      const toolchain = await toolchainOfPrebuilt(language);
      if (typeof toolchain === "string") {
        // The compilers from npm are pinned by the lock file: another one is a mistake, not a circumstance.
        assert.ok(language === "rust" || language === "go", toolchain);
        t.skip(toolchain);
        return;
      }
      for (const guest of GUESTS.filter((candidate) => candidate.language === language)) {
        const rebuilt = sha256(await compileGuest(guest, toolchain));
        assert.equal(rebuilt, sha256(readPrebuilt(guest)), `${guest.name}.wasm differs: run npm run guests`);
      }
    });
  }
});

type Kernels = ReadonlyMap<string, (n: number) => number>;

async function instantiateKernels(name: string): Promise<Kernels> {
  const module = await WebAssembly.compile(Uint8Array.from(readPrebuilt(guestNamed(name))));
  const { exports } = await WebAssembly.instantiate(module, {});
  const functions = new Map<string, (n: number) => number>();
  for (const [key, value] of Object.entries(exports)) {
    if (typeof value === "function") functions.set(key, (n) => Number(value(n)));
  }
  return functions;
}

function runKernel(kernels: Kernels, name: string, n: number): number {
  const kernel = kernels.get(name);
  assert.ok(kernel, `no export ${name}`);
  return kernel(n);
}

describe("The kernels", async () => {
  const sizes: Readonly<Record<string, readonly number[]>> = {
    sieve: [0, 2, 1000, 10_007],
    fib: [0, 1, 15],
    matmul: [1, 7, 20],
    mandelbrot: [1, 32],
    sha256: [0, 1, 55, 56, 64, 1000],
    json_parse: [0, 1, 60],
    regex: [0, 1, 100],
    sort: [0, 1, 17, 5000],
    string_build: [0, 1, 500],
  };
  const c = await instantiateKernels("kernels.c");

  for (const other of ["kernels.rs", "kernels.ts"]) {
    const kernels = await instantiateKernels(other);
    for (const [name, ns] of Object.entries(sizes)) {
      it(`give the same checksum of ${name} in ${other} as in kernels.c`, () => {
        for (const n of ns) assert.equal(runKernel(kernels, name, n), runKernel(c, name, n), `n = ${n}`);
      });
    }
  }

  it("give the same checksum when called again", () => {
    for (const [name, ns] of Object.entries(sizes)) {
      for (const n of ns) assert.equal(runKernel(c, name, n), runKernel(c, name, n), `${name}(${n})`);
    }
  });

  it("compute what they are named after where that is known", () => {
    assert.equal(runKernel(c, "fib", 20), 6765);
    // 25 primes below 100, with the sum 1060, mixed as the sources say.
    assert.equal(runKernel(c, "sieve", 100), Math.imul(1060 ^ 25, 16_777_619));
    assert.equal(runKernel(c, "sha256", 1000), firstDigestWord(randomBytes(1000)));
  });
});

/** The low bytes of the kernels' own xorshift32. */
function randomBytes(count: number): Uint8Array {
  let x = 2_463_534_242;
  return Uint8Array.from({ length: count }, () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x & 255;
  });
}

function firstDigestWord(bytes: Uint8Array): number {
  return createHash("sha256").update(bytes).digest().readInt32BE(0);
}

const MARKDOWN = `# Mortise and tenon

A mortise is a hole. The tenon fits the hole, and the joint holds!

- The [joint](https://joint.example/the/joint) needs no glue.

\`\`\`
the the the
\`\`\`
`;

interface CallOptions {
  readonly config?: Record<string, string>;
  readonly wasi?: boolean;
}

/** One call in the Extism project's own host. */
async function callInExtism(
  guest: string,
  name: string,
  inputs: readonly (string | Uint8Array)[],
  { config = {}, wasi = false }: CallOptions = {},
): Promise<unknown[]> {
  const data = Uint8Array.from(readPrebuilt(guestNamed(guest)));
  const plugin = await createPlugin({ wasm: [{ data }] }, { useWasi: wasi, runInWorker: false, config });
  try {
    const outputs: unknown[] = [];
    for (const input of inputs) outputs.push((await plugin.call(name, input))?.json());
    return outputs;
  } finally {
    await plugin.close();
  }
}

const NOT_UTF8 = Uint8Array.of(0x61, 0xff, 0x62, 0xc0, 0x80);

describe("The AssemblyScript tour plugin", () => {
  it("counts vowels, and adds them up over the calls", async () => {
    const [first, second] = await callInExtism("vowels.ts", "count_vowels", ["Hello, World!", "tenon"]);
    assert.deepEqual(first, { count: 3, total: 3, vowels: "aeiouAEIOU" });
    assert.deepEqual(second, { count: 2, total: 5, vowels: "aeiouAEIOU" });
  });

  it("counts the configured characters, whatever they are", async () => {
    const options = { config: { vowels: 'é"😀' } };
    const [output] = await callInExtism("vowels.ts", "count_vowels", ['café "😀" 😁 e'], options);
    assert.deepEqual(output, { count: 4, total: 4, vowels: 'é"😀' });
  });

  it("refuses text that is not UTF-8", async () => {
    await assert.rejects(callInExtism("vowels.ts", "count_vowels", [NOT_UTF8]), /the input is not valid UTF-8/);
  });
});

describe("The C tour plugin", () => {
  for (const length of [0, 1, 7, 8, 55, 56, 63, 64, 65, 1000]) {
    it(`gives the SHA-256 of ${length} bytes`, async () => {
      const input = randomBytes(length);
      const [output] = await callInExtism("sha256.c", "sha256", [input]);
      assert.deepEqual(output, { sha256: sha256(input) });
    });
  }
});

describe("The Rust tour plugin", () => {
  it("lists the most frequent words outside of code blocks and links", async () => {
    const [output] = await callInExtism("word_frequency.rs", "top_words", [MARKDOWN], {
      config: { limit: "4" },
    });
    assert.deepEqual(output, [
      { word: "the", count: 4 },
      { word: "a", count: 2 },
      { word: "and", count: 2 },
      { word: "hole", count: 2 },
    ]);
  });

  it("lists ten words without configuration, in lower case", async () => {
    const [output] = await callInExtism("word_frequency.rs", "top_words", ["A b C d E f G h I j K ÉTÉ été ДА да"]);
    assert.deepEqual(
      (output as { word: string }[]).map((item) => item.word),
      ["été", "да", "a", "b", "c", "d", "e", "f", "g", "h"],
    );
  });

  it("refuses text that is not UTF-8, and a limit that is no number", async () => {
    await assert.rejects(callInExtism("word_frequency.rs", "top_words", [NOT_UTF8]), /the input is not valid UTF-8/);
    const options = { config: { limit: "many" } };
    await assert.rejects(callInExtism("word_frequency.rs", "top_words", ["a"], options), /"limit" is not a whole number/);
  });
});

describe("The Go tour plugin", () => {
  it("counts sentences, words and syllables and gives Flesch's reading ease", async () => {
    const [output] = await callInExtism("readability.go", "readability", [MARKDOWN], {
      wasi: true,
    });
    // Sentences: the heading, two in the paragraph, one list item. The code block and the link's target are not read.
    const sentences = 1 + 2 + 1;
    const words = 3 + (5 + 9) + 5;
    const syllables = 5 + (6 + 10) + 5;
    const ease = 206.835 - 1.015 * (words / sentences) - 84.6 * (syllables / words);
    assert.deepEqual(output, { sentences, words, syllables, readingEase: Number(ease.toFixed(2)) });
  });

  it("refuses text that is not UTF-8, and text without words", async () => {
    const refuse = callInExtism("readability.go", "readability", [NOT_UTF8], { wasi: true });
    await assert.rejects(refuse, /the input is not valid UTF-8/);
    await assert.rejects(callInExtism("readability.go", "readability", ["# ..."], { wasi: true }), /the input has no words/);
  });
});

describe("The small plugins", () => {
  for (const guest of ["count_vowels.ts", "count_vowels.c", "count_vowels.rs"]) {
    it(`count vowels alike in ${guest}`, async () => {
      const outputs = await callInExtism(guest, "count_vowels", [MARKDOWN, "", "AEIOU aeiou xyz", "e".repeat(1005)]);
      const vowels = MARKDOWN.match(/[aeiou]/gi)?.length;
      assert.deepEqual(outputs, [{ count: vowels }, { count: 0 }, { count: 10 }, { count: 1005 }]);
    });
  }

  for (const guest of ["echo.c", "echo.rs"]) {
    it(`give back their input and nothing in ${guest}`, async () => {
      const data = Uint8Array.from(readPrebuilt(guestNamed(guest)));
      const plugin = await createPlugin({ wasm: [{ data }] }, { runInWorker: false });
      for (const length of [1, 8, 13, 200_003]) {
        const input = randomBytes(length);
        assert.deepEqual((await plugin.call("echo", input))?.bytes(), input);
      }
      assert.equal(await plugin.call("noop", "anything"), null);
      await plugin.close();
    });
  }
});

/** One call of a fixture; a failure becomes its message, a trap its stack. */
async function callFixture(plugin: Plugin, name: string, input: string): Promise<string> {
  try {
    return (await plugin.call(name, input))?.text() ?? "";
  } catch (error) {
    return `failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
  }
}

describe("The fixtures", async () => {
  const data = Uint8Array.from(readPrebuilt(guestNamed("fixtures.c")));
  const functions = {
    "extism:host/user": { host_reflect: (_: CallContext, handle: bigint) => handle },
  };
  const options = { runInWorker: false, config: { colour: "oak brown" }, functions };
  const open = (): Promise<Plugin> => createPlugin({ wasm: [{ data }] }, options);

  const cases: readonly (readonly [name: string, input: string, output: string | RegExp])[] = [
    ["config_echo", "colour", "oak brown"],
    ["config_echo", "size", /^failed: .*no such config key/],
    ["var_bump", "", "1"],
    ["var_fill", "1000", "1000"],
    ["log_all", "", ""],
    ["fail", "", /^failed: .*something went wrong/],
    ["trap", "", /inner_function[^]*middle_function[^]*trap/],
    ["host_reflect", "there and back", "there and back"],
    ["globals", "", "1"],
    ["grow", "2", "1"],
    ["grow", "70000", "-1"],
    ["recurse", "", /^failed: RangeError/],
  ];
  for (const [name, input, expected] of cases) {
    it(`do what ${name} says, given "${input}"`, async () => {
      const plugin = await open();
      const output = await callFixture(plugin, name, input);
      await plugin.close();
      if (typeof expected === "string") assert.equal(output, expected);
      else assert.match(output, expected);
    });
  }

  it("keep a variable and a global from call to call", async () => {
    const plugin = await open();
    for (const expected of ["1", "2", "3"]) {
      assert.equal(await callFixture(plugin, "var_bump", ""), expected);
      assert.equal(await callFixture(plugin, "globals", ""), expected);
    }
    await plugin.close();
  });

  // The JavaScript host ignores return codes and throws on reads past the input, so these two run on our own glue.
  it("return a code without an error message from exit_code", async () => {
    assert.deepEqual(await callOnGlue("exit_code", ""), { code: 7, output: "" });
  });

  it("read the input at every kind of offset in input_at_offsets", async () => {
    const { code, output } = await callOnGlue("input_at_offsets", "abcdefghij");
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(output), {
      length: 10,
      u8_first: 0x61,
      u8_last: 0x6a,
      u8_past_end: 0,
      u64_first: "6867666564636261",
      u64_at_1: "6968676665646362",
      u64_across_end: "0000000000000000",
      same_by_address: true,
    });
  });
});

/** The ABI as the Rust runtime's kernel has it, with the input at the start of a memory that never frees. */
async function callOnGlue(name: string, input: string): Promise<{ code: unknown; output: string }> {
  const INPUT = 16;
  const memory = new DataView(new ArrayBuffer(4096));
  const bytes = new Uint8Array(memory.buffer);
  const { written: length } = new TextEncoder().encodeInto(input, bytes.subarray(INPUT));
  let next = INPUT + length;
  let output = "";
  const inside = (offset: bigint, size: number): boolean => offset >= 0n && offset + BigInt(size) <= BigInt(length);
  const env = {
    alloc: (size: bigint) => BigInt((next += Number(size)) - Number(size)),
    load_u8: (at: bigint) => memory.getUint8(Number(at)),
    store_u8: (at: bigint, value: number) => memory.setUint8(Number(at), value),
    store_u64: (at: bigint, value: bigint) => memory.setBigUint64(Number(at), BigInt.asUintN(64, value), true),
    input_offset: () => BigInt(INPUT),
    input_length: () => BigInt(length),
    input_load_u8: (at: bigint) => (inside(at, 1) ? memory.getUint8(INPUT + Number(at)) : 0),
    input_load_u64: (at: bigint) => (inside(at, 8) ? memory.getBigUint64(INPUT + Number(at), true) : 0n),
    output_set: (at: bigint, size: bigint) => {
      output = new TextDecoder().decode(bytes.subarray(Number(at), Number(at + size)));
    },
  };
  const module = await WebAssembly.compile(Uint8Array.from(readPrebuilt(guestNamed("fixtures.c"))));
  const unused = WebAssembly.Module.imports(module).map((wanted) => [wanted.name, () => 0n] as const);
  const stubs = Object.fromEntries(unused);
  const imports = { "extism:host/env": { ...stubs, ...env }, "extism:host/user": stubs };
  const exported = (await WebAssembly.instantiate(module, imports)).exports[name];
  assert.ok(typeof exported === "function", `no export ${name}`);
  return { code: exported(), output };
}
