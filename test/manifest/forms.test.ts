// readManifest: a manifest means the same as an object, as JSON and as TOML, in either spelling.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, it } from "node:test";

import * as fc from "fast-check";
import { stringify } from "smol-toml";

import type { ResolvedManifest } from "../../src/manifest/manifest.ts";
import { BASE64, MODULE, base64, moduleOf, read, sha256, temporaryFolder } from "./modules.ts";

const folder = temporaryFolder();

/** The same keys in the other spelling. */
function inSnakeCase(manifest: Record<string, unknown>): Record<string, unknown> {
  const spell = (table: Record<string, unknown>): Record<string, unknown> =>
    Object.fromEntries(Object.entries(table).map(([key, value]) => [key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value]));
  const { memory } = manifest;
  return { ...spell(manifest), ...(memory === undefined ? {} : { memory: spell(memory as Record<string, unknown>) }) };
}

/** Every form of one manifest. */
function formsOf(manifest: Record<string, unknown>): readonly (readonly [form: string, source: unknown])[] {
  const snake = inSnakeCase(manifest);
  return [
    ["camel case object", manifest],
    ["snake case object", snake],
    ["camel case JSON", JSON.stringify(manifest, undefined, 2)],
    ["snake case JSON", JSON.stringify(snake)],
    ["camel case TOML", Buffer.from(stringify(manifest))],
    ["snake case TOML", stringify(snake)],
  ];
}

const plain = ({ origin: _origin, ...found }: ResolvedManifest): unknown => ({
  ...found,
  config: { ...found.config },
  modules: found.modules.map(({ name, bytes }) => [name, base64(bytes)]),
});

describe("readManifest's settings", () => {
  const everything = {
    wasm: [
      { data: BASE64, name: "lib", hash: sha256(MODULE).toUpperCase() },
      { data: base64(moduleOf(20)), hash: sha256(moduleOf(20)) },
    ],
    memory: { maxPages: 5, maxHttpResponseBytes: 0, maxVarBytes: 1000 },
    allowedHosts: ["example.com", "*.example.com"],
    allowedPaths: { "./data": "/data", "ro:/etc/app": "/etc" },
    config: { "a b": "c", toString: "x", "": "" },
    timeoutMs: 250,
  };
  for (const [form, source] of formsOf(everything)) {
    it(`are all honoured in a ${form}`, async () => {
      const found = await read(source);
      assert.deepEqual(plain(found), {
        name: "plugin",
        from: "local",
        modules: [
          ["lib", BASE64],
          ["main", base64(moduleOf(20))],
        ],
        memory: { maxPages: 5, maxHttpResponseBytes: 0, maxVarBytes: 1000 },
        allowedHosts: ["example.com", "*.example.com"],
        allowedPaths: [
          { hostPath: resolve("data"), guestPath: "/data", readOnly: false },
          { hostPath: "/etc/app", guestPath: "/etc", readOnly: true },
        ],
        config: { "a b": "c", toString: "x", "": "" },
        timeoutMs: 250,
      });
      assert.equal(Object.getPrototypeOf(found.config), null);
    });
  }

  it("take allowedPaths the other way round where that is asked for", async () => {
    const source = { wasm: [{ data: MODULE }], allowedPaths: { "/data": "ro:./here" } };
    const { allowedPaths } = await read(source, { allowedPathKeys: "guest" });
    assert.deepEqual(allowedPaths, [{ hostPath: resolve("here"), guestPath: "/data", readOnly: true }]);
  });
});

describe("readManifest", () => {
  const text = fc.string({ unit: "binary", maxLength: 20 });
  const key = text.filter((each) => each !== "__proto__");
  const name = text.filter((each) => each !== "" && !each.includes("\0"));
  const count = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
  const pathsOf = (hosts: [string, string][]): Record<string, string> =>
    Object.fromEntries(hosts.map(([host, guest], index) => [`${index}${host}`, `${guest}${index}`]));
  const optional = { requiredKeys: [] };
  const manifest = fc
    .record(
      {
        memory: fc.record({ maxPages: count, maxHttpResponseBytes: count, maxVarBytes: count }, optional),
        allowedHosts: fc.array(name, { maxLength: 3 }),
        allowedPaths: fc.array(fc.tuple(name, name), { maxLength: 3 }).map(pathsOf),
        config: fc.dictionary(key, text, { maxKeys: 4, noNullPrototype: true }),
        timeoutMs: fc.integer({ min: 1, max: 1_000_000 }),
        wasm: fc.uniqueArray(name, { minLength: 1, maxLength: 4 }).map((names) =>
          names.map((each, index) => ({ name: each, data: base64(moduleOf(15 + index, index)), hash: sha256(moduleOf(15 + index, index)) })),
        ),
      },
      { requiredKeys: ["wasm"] },
    ); // prettier-ignore

  it("gives the same for one manifest in every form", async () => {
    await fc.assert(
      fc.asyncProperty(manifest, async (value) => {
        const [[, first], ...others] = formsOf(value) as [readonly [string, unknown], ...(readonly [string, unknown])[]];
        const expected = plain(await read(first));
        for (const [form, source] of others) assert.deepEqual(plain(await read(source)), expected, form);
      }),
      { numRuns: 150 },
    );
  });

  it("reads JSON as JSON.parse does, as far as that goes", async () => {
    await fc.assert(
      fc.asyncProperty(manifest, fc.constantFrom(undefined, 1, "\t", "\r\n "), async (value, space) => {
        const written = JSON.stringify(value, undefined, space).replace(
          /[^ -~\s]/g,
          (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
        );
        assert.deepEqual(plain(await read(written)), plain(await read(JSON.parse(written))));
      }),
      { numRuns: 100 },
    );
  });

  it("answers any text, bytes and value with a result or a coded error", async () => {
    const word = fc.constantFrom("wasm", "data", "[", "]", "{", "}", '"', "=", ":", ",", "\n", BASE64, "[[wasm]]", "config", "1", "\\u", "null", " ");
    const tokens = fc.array(word, { maxLength: 30 }).map((words) => words.join(""));
    const start = fc.constantFrom("{", "[[wasm]]\n", "wasm = [", '{"wasm":[{', "");
    const noise = fc.tuple(start, fc.oneof(tokens, text)).map((parts) => parts.join(""));
    const source = fc.oneof(noise.map((each) => (each === "" ? "{" : each)), noise.map((each) => Buffer.from(each)), fc.uint8Array(), fc.anything({ withNullPrototype: true, withMap: true }), fc.record({ wasm: fc.array(fc.anything()) })); // prettier-ignore
    await fc.assert(
      fc.asyncProperty(source, async (value) => {
        await read(value).catch((error: Error) => assert.equal(error.name, "MortiseError", error.stack));
      }),
      { numRuns: 1500 },
    );
  });
});

describe("readManifest's digests", () => {
  const digest = sha256(MODULE);
  const wrong = sha256(moduleOf(20));
  const path = join(folder, "a.wasm");
  writeFileSync(path, MODULE);
  const padded = new Uint8Array(100).fill(1);
  padded.set(MODULE, 7);
  const sources: readonly (readonly [what: string, module: () => object, source: string])[] = [
    ["bytes", () => ({ data: MODULE }), "wasm[0] of the manifest"],
    ["a view into a larger buffer", () => ({ data: padded.subarray(7, 15) }), "wasm[0] of the manifest"],
    ["base64", () => ({ data: BASE64 }), "wasm[0] of the manifest"],
    ["a file", () => ({ path }), `"${path}"`],
    ["a Response", () => ({ response: new Response(MODULE) }), "wasm[0] of the manifest"],
  ];
  for (const [what, module, source] of sources) {
    it(`are of ${what}, in either case of letters`, async () => {
      for (const hash of [digest, digest.toUpperCase()]) assert.equal((await read({ wasm: [{ ...module(), hash }] })).modules.length, 1);
      await assert.rejects(read({ wasm: [{ ...module(), hash: wrong.toUpperCase() }] }), {
        code: "MORTISE_DIGEST_MISMATCH",
        message: `Cannot load ${source}: its SHA-256 is ${digest} but must be ${wrong}`,
      });
    });
  }
});

describe("readManifest's names of modules", () => {
  const cases: readonly (readonly [given: readonly (string | undefined)[], names: readonly string[] | RegExp])[] = [
    [[undefined], ["main"]],
    [["other"], ["main"]],
    [["main"], ["main"]],
    [
      ["lib", "main"],
      ["lib", "main"],
    ],
    [
      ["main", "lib"],
      ["main", "lib"],
    ],
    [
      ["lib", undefined],
      ["lib", "main"],
    ],
    [
      [undefined, "lib"],
      ["main", "lib"],
    ],
    [
      ["a", undefined, "b"],
      ["a", "main", "b"],
    ],
    [
      ["a", "b"],
      ["a", "main"],
    ],
    [
      ["a", "b", "c"],
      ["a", "b", "main"],
    ],
    [
      [undefined, undefined],
      ["wasm[0]", "main"],
    ],
    [
      ["lib", undefined, undefined],
      ["lib", "wasm[1]", "main"],
    ],
    [
      ["main", undefined, undefined],
      ["main", "wasm[1]", "wasm[2]"],
    ],
    [
      ["wasm[1]", undefined, "wasm[1]'", undefined],
      ["wasm[1]", "wasm[1]''", "wasm[1]'", "main"],
    ],
    [
      ["toString", "__proto__", undefined],
      ["toString", "__proto__", "main"],
    ],
    [[undefined, undefined, "lib"], /^wasm has 2 modules without a name, and none is named "main"; name the one to call "main"$/],
    [["a", "a"], /^wasm\[1\]\.name is "a", which another module is named already$/],
    [["a", "b", "a", "main"], /^wasm\[2\]\.name is "a"/],
    [["main", "main"], /^wasm\[1\]\.name is "main"/],
  ];
  for (const [given, names] of cases) {
    it(`are ${String(names)} for ${given.map((each) => each ?? "nothing").join(", ")}`, async () => {
      const reading = read({ wasm: given.map((name) => ({ data: MODULE, name })) });
      if (names instanceof RegExp) await assert.rejects(reading, (error: { details: { reason: string } }) => names.test(error.details.reason));
      else {
        const { modules } = await reading;
        assert.deepEqual(
          modules.map(({ name }) => name),
          names,
        );
      }
    });
  }
});
