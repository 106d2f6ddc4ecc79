// readHelios: artefacts, manifests beside modules and inside of them, and what is wrong with each, said with its place.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";

import { isMortiseError } from "../../src/api/errors.ts";
import { HELIOS_HOOKS } from "../../src/manifest/helios-hooks.ts";
import { type HeliosManifest, type HeliosPlugin, readHelios } from "../../src/manifest/helios-source.ts";
import { MODULE, moduleOf, sha256, temporaryFolder } from "./modules.ts";
import { type TarEntry, tar } from "./tar.ts";

const folder = temporaryFolder();
let counter = 0;

const SIGNATURE = Buffer.alloc(64, 7).toString("base64");

/** What a packer writes. */
function manifestJson(more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    schema_version: "1.0",
    name: "cost-governor",
    version: "0.1.0",
    description: "Budgets",
    license: "Apache-2.0",
    hooks: ["pre_query", "PostQuery"],
    wasm_sha256: sha256(MODULE),
    signature_sha256: null,
    signature_algorithm: null,
    packed_at: "2026-04-25T12:00:00Z",
    ...more,
  };
}

function artefact(manifest: unknown = manifestJson(), ...more: readonly TarEntry[]): Uint8Array {
  const text = typeof manifest === "string" ? manifest : JSON.stringify(manifest);
  return gzipSync(tar({ name: "manifest.json", content: text }, { name: "plugin.wasm", content: MODULE }, ...more));
}

/** A module in a folder of its own, with files beside it. */
function beside(files: Readonly<Record<string, string | Uint8Array>>, name: string = "guard.wasm", module: Uint8Array = MODULE): string {
  const place = join(folder, String(counter++));
  mkdirSync(place);
  for (const [file, content] of Object.entries(files)) writeFileSync(join(place, file), content);
  writeFileSync(join(place, name), module);
  return join(place, name);
}

async function manifestOf(source: string | Uint8Array): Promise<HeliosManifest> {
  const { manifest } = await readHelios(source);
  assert.ok(manifest !== undefined, "there is no manifest");
  return manifest;
}

async function refusal(reading: Promise<HeliosPlugin>): Promise<{ code: string; message: string; details: Record<string, unknown> }> {
  try {
    await reading;
  } catch (error) {
    assert.ok(isMortiseError(error), String(error));
    return error;
  }
  return assert.fail("it was accepted");
}

/** A module with one custom section. */
function withSection(name: string, content: string): Uint8Array {
  const body = Buffer.concat([Buffer.from([name.length]), Buffer.from(name), Buffer.from(content)]);
  const length = [body.length & 0x7f, body.length >> 7].map((byte, index) => (index === 0 ? byte | 0x80 : byte));
  return Buffer.concat([MODULE, Buffer.from([0, 2, 1, 0x41]), Buffer.from([0, ...length]), body]);
}

describe("readHelios of an artefact", () => {
  it("gives the module and the manifest, by path whatever the file is called, and by bytes", async () => {
    const path = join(folder, "packed.bin");
    writeFileSync(path, artefact());
    for (const source of [path, artefact()]) {
      const { wasm, manifest } = await readHelios(source);
      assert.deepEqual([...wasm], [...MODULE]);
      assert.deepEqual(manifest, {
        name: "cost-governor",
        version: "0.1.0",
        description: "Budgets",
        author: "",
        license: "Apache-2.0",
        hooks: ["pre_query", "post_query"],
        permissions: [],
        requested: [],
        minMemoryBytes: 1 << 20,
        maxMemoryBytes: 64 << 20,
      });
    }
  });

  it("carries the signature, and ignores other files", async () => {
    const manifest = await manifestOf(
      artefact(manifestJson({ signature_algorithm: "ed25519" }), { name: "plugin.sig", content: `${SIGNATURE}\n` }, { name: "README" }),
    );
    assert.deepEqual(
      [...(manifest.signature ?? [])],
      Array.from({ length: 64 }, () => 7),
    );
  });

  it("lets a later minor version have more keys, but not this one", async () => {
    assert.equal((await manifestOf(artefact(manifestJson({ schema_version: "1.4", sbom: "x" })))).name, "cost-governor");
    const { message } = await refusal(readHelios(artefact(manifestJson({ sbom: "x" }))));
    assert.match(message, /sbom is not a key of the manifest of an artefact$/);
  });

  const cases: readonly (readonly [title: string, bytes: Uint8Array, code: string, reason: RegExp])[] = [
    [
      "a wrong digest",
      artefact(manifestJson({ wasm_sha256: "0".repeat(64) })),
      "MORTISE_DIGEST_MISMATCH",
      new RegExp(`plugin.wasm of the artefact: its SHA-256 is ${sha256(MODULE)} but must be 0{64}$`),
    ],
    [
      "a digest in capitals",
      artefact(manifestJson({ wasm_sha256: "A".repeat(64) })),
      "MORTISE_MANIFEST_INVALID",
      /wasm_sha256 is "A{64}" but must be the 64 hexadecimal digits of a SHA-256, in lower case$/,
    ],
    [
      "another schema",
      artefact(manifestJson({ schema_version: "2.0" })),
      "MORTISE_MANIFEST_INVALID",
      /schema_version is "2.0" but must be 1.0, or 1 with another minor version$/,
    ],
    ["a schema that only begins like it", artefact(manifestJson({ schema_version: "1.x" })), "MORTISE_MANIFEST_INVALID", /schema_version is "1.x"/],
    ["another algorithm", artefact(manifestJson({ signature_algorithm: "rsa" })), "MORTISE_MANIFEST_INVALID", /signature_algorithm is not "ed25519"/],
    [
      "a broken signature",
      artefact(manifestJson(), { name: "plugin.sig", content: "AAAA" }),
      "MORTISE_MANIFEST_INVALID",
      /plugin\.sig of the artefact: it is not base64 of the 64 bytes/,
    ],
    [
      "no manifest",
      gzipSync(tar({ name: "plugin.wasm", content: MODULE })),
      "MORTISE_MANIFEST_INVALID",
      /it has no manifest\.json, but "plugin\.wasm"$/,
    ],
    [
      "no module",
      gzipSync(tar({ name: "manifest.json", content: "{}" })),
      "MORTISE_MANIFEST_INVALID",
      /it has no plugin\.wasm, but "manifest\.json"$/,
    ],
    ["an empty archive", gzipSync(tar()), "MORTISE_MANIFEST_INVALID", /it has no manifest\.json, and no other file$/],
    ["a manifest in a folder", gzipSync(tar({ name: "x/manifest.json", content: "{}" })), "MORTISE_MANIFEST_INVALID", /it has no manifest\.json/],
    [
      "a manifest that is not JSON",
      artefact("{"),
      "MORTISE_MANIFEST_INVALID",
      /manifest\.json of the artefact, line 1, column 2: it has its end where a key/,
    ],
    [
      "a manifest that is not UTF-8",
      gzipSync(tar({ name: "manifest.json", content: Buffer.from([0xff]) }, { name: "plugin.wasm", content: MODULE })),
      "MORTISE_MANIFEST_INVALID",
      /is not valid UTF-8/,
    ],
    ["a manifest without an end", artefact(" ".repeat((1 << 20) + 1)), "MORTISE_MANIFEST_INVALID", /it has 1048577 bytes, but may have 1048576/],
    [
      "a link for the module",
      gzipSync(tar({ name: "manifest.json", content: "{}" }, { name: "plugin.wasm", type: "2" })),
      "MORTISE_MANIFEST_INVALID",
      /"plugin\.wasm" is a symbolic link/,
    ],
    ["gzip of something else", gzipSync("hello"), "MORTISE_MANIFEST_INVALID", /it is no intact tar archive/],
    ["gzip that is cut off", artefact().subarray(0, 100), "MORTISE_MANIFEST_INVALID", /it cannot be decompressed: unexpected end of file$/],
    ["gzip with a wrong checksum", damagedEnd(artefact()), "MORTISE_MANIFEST_INVALID", /it cannot be decompressed: incorrect data check$/],
  ];
  for (const [title, bytes, code, reason] of cases) {
    it(`refuses ${title}`, async () => {
      const error = await refusal(readHelios(bytes));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, reason);
    });
  }

  for (const key of ["schema_version", "name", "version", "description", "license", "hooks", "wasm_sha256"]) {
    it(`refuses a manifest without ${key}`, async () => {
      const { message } = await refusal(readHelios(artefact(manifestJson({ [key]: undefined }))));
      assert.match(message, new RegExp(`: ${key} is missing from the manifest of an artefact$`));
    });
  }

  it("refuses text for a module, with the digest right", async () => {
    const text = Buffer.from("(module)");
    const json = JSON.stringify(manifestJson({ wasm_sha256: sha256(text) }));
    const { code } = await refusal(readHelios(gzipSync(tar({ name: "manifest.json", content: json }, { name: "plugin.wasm", content: text }))));
    assert.equal(code, "MORTISE_WASM_TEXT");
  });

  it("unpacks no more than the module may have", async () => {
    const bomb = gzipSync(Buffer.alloc(64 << 20));
    assert.ok(bomb.length < 100_000);
    const error = await refusal(readHelios(bomb, { maxBytes: 1 << 20 }));
    assert.equal(error.code, "MORTISE_MODULE_LIMIT");
    assert.match(error.message, /it has more than 1048576 bytes, but limits\.moduleBytes allows 1048576$/);
    const large = moduleOf(1 << 20, 1);
    const packed = gzipSync(
      tar({ name: "manifest.json", content: JSON.stringify(manifestJson({ wasm_sha256: sha256(large) })) }, { name: "plugin.wasm", content: large }),
    );
    assert.equal((await readHelios(packed, { maxBytes: 1 << 20 })).wasm.length, 1 << 20);
    assert.equal((await refusal(readHelios(packed, { maxBytes: (1 << 20) - 1 }))).code, "MORTISE_MODULE_LIMIT");
  });
});

describe("readHelios of a manifest beside the module", () => {
  const YAML = `# a real YAML file, which the proxy's own scanner would not understand
name: guard   # with a comment
version: "1.2.0-rc.1"
hooks: [pre_query, auth]
permissions:
  - KV_WRITE   # between
  - "http"
resources: { min_memory: 2MB, max_memory: 16 mb }
`;

  it("reads YAML, with comments, flow lists and quotes", async () => {
    const { requested, ...rest } = await manifestOf(beside({ "guard.yaml": YAML }));
    assert.deepEqual(rest, {
      name: "guard",
      version: "1.2.0-rc.1",
      description: "",
      author: "",
      license: "",
      hooks: ["pre_query", "authenticate"],
      permissions: ["kv_write", "http_fetch"],
      minMemoryBytes: 2 << 20,
      maxMemoryBytes: 16 << 20,
    });
    assert.deepEqual(
      requested.map(({ grant }) => grant),
      ['kv = "read-write"', 'hosts = ["HOST"]'],
    );
  });

  const json = (name: string): string => JSON.stringify({ name });
  const toml = (name: string): string => `name = "${name}"\nhooks = ["route"]\nmin_memory = 1048576\nmax_memory = 16777216\npriority = 5\n`;
  const orders: readonly (readonly [title: string, files: Record<string, string>, name: string])[] = [
    [".yaml comes first", { "guard.yaml": "name: a", "guard.json": json("b"), "guard.yml": "name: c", "guard.toml": toml("d") }, "a"],
    [".json before .yml", { "guard.json": json("b"), "guard.yml": "name: c", "guard.toml": toml("d") }, "b"],
    [".yml before .toml", { "guard.yml": "name: c", "guard.toml": toml("d") }, "c"],
    [".toml before plugin.toml", { "guard.toml": toml("d"), "plugin.toml": toml("guard") }, "d"],
    ["plugin.toml last", { "plugin.toml": toml("guard") }, "guard"],
    ["a manifest of Extism's is none", { "guard.json": '{"wasm": []}', "guard.toml": "wasm = []", "plugin.toml": toml("guard") }, "guard"],
  ];
  for (const [title, files, name] of orders) it(`looks in order: ${title}`, async () => assert.equal((await manifestOf(beside(files))).name, name));

  it("takes plugin.toml for the module of its name only, in either spelling", async () => {
    assert.equal((await readHelios(beside({ "plugin.toml": toml("another") }))).manifest, undefined);
    const manifest = await manifestOf(beside({ "plugin.toml": toml("cost-guard") }, "cost_guard.wasm"));
    assert.deepEqual([manifest.name, manifest.hooks, manifest.maxMemoryBytes], ["cost-guard", ["route"], 16 << 20]);
    assert.equal((await manifestOf(beside({ "plugin.toml": toml("anything") }, "plugin.wasm"))).name, "anything");
  });

  it("takes the signature that stands beside a manifest; what is no signature is none", async () => {
    assert.equal((await manifestOf(beside({ "guard.yaml": "name: a", "guard.sig": SIGNATURE }))).signature?.length, 64);
    assert.equal((await manifestOf(beside({ "guard.yaml": "name: a", "guard.sig": "MEUCIQ==" }))).signature, undefined);
    assert.equal((await manifestOf(beside({ "guard.yaml": "name: a" }))).signature, undefined);
  });

  it("gives no manifest where there is none, and none for bytes", async () => {
    assert.equal((await readHelios(beside({}))).manifest, undefined);
    assert.equal((await readHelios(MODULE)).manifest, undefined);
  });

  it("fails for a manifest that cannot be read, instead of going on without it", async () => {
    const path = beside({});
    mkdirSync(path.replace(".wasm", ".yaml"));
    assert.equal((await refusal(readHelios(path))).code, "MORTISE_SOURCE_UNREADABLE");
  });
});

describe("readHelios of a manifest inside the module", () => {
  it("reads JSON and YAML from the custom section", async () => {
    for (const text of ['{"name": "inner", "hooks": ["route"]}', "name: inner\nhooks: [route]\n"]) {
      const manifest = await manifestOf(withSection("helios_manifest", text));
      assert.deepEqual([manifest.name, manifest.hooks], ["inner", ["route"]]);
    }
  });

  it("prefers the one beside the module", async () => {
    assert.equal(
      (await manifestOf(beside({ "guard.yaml": "name: outer" }, "guard.wasm", withSection("helios_manifest", "name: inner")))).name,
      "outer",
    );
  });

  it("passes other sections and broken modules by", async () => {
    const section = withSection("helios_manifest", "name: inner");
    for (const module of [
      withSection("name", "name: inner"),
      section.subarray(0, -1),
      Buffer.concat([MODULE, Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 0xff])]),
    ])
      assert.equal((await readHelios(module)).manifest, undefined);
  });

  it("says where in the section the fault is", async () => {
    const { message } = await refusal(readHelios(withSection("helios_manifest", "name: inner\nhooks:\n  - pre_qery\n")));
    assert.equal(
      message,
      'Cannot use the custom section "helios_manifest" of the module, line 3, column 5: hooks[0] is "pre_qery", which is no hook of HeliosProxy; did you mean "pre_query" or "prequery"?',
    );
  });
});

describe("readHelios refuses in a manifest", () => {
  const NAME = "name: g\n";
  const cases: readonly (readonly [title: string, yaml: string, reason: RegExp])[] = [
    ["no name", "version: '1'", /name is missing from a plugin's manifest$/],
    ["an empty name", "name: ''", /name is empty but must be text/],
    ["a name with other characters", "name: a/b", /line 1, column 1: name is "a\/b" but may have letters, digits, "-" and "_" only$/],
    ["a long name", `name: ${"a".repeat(129)}`, /name has 129 characters but may have 128$/],
    ["a version that is none", `${NAME}version: latest`, /line 2, column 1: version is "latest" but must be a version such as "1.2.0"$/],
    ["a version that is a number", `${NAME}version: 1.0`, /version is 1 but must be text/],
    ["an unknown hook", `${NAME}hooks: [validate]`, /line 2, column 9: hooks\[0\] is "validate", which is no hook of HeliosProxy$/],
    ["a hook that is no text", `${NAME}hooks: [[route]]`, /hooks\[0\] is an array but must be text$/],
    ["hooks that are no list", `${NAME}hooks: route`, /hooks is "route" but must be an array$/],
    ["too many hooks", `${NAME}hooks: [${Array(65).fill("route").join(",")}]`, /hooks has 65 entries but may have 64$/],
    ["an unknown key", `${NAME}hook: [route]`, /line 2, column 1: hook is not a key of a plugin's manifest; did you mean "hooks"\?$/],
    ["an unknown resource", `${NAME}resources: { max_mem: 1 }`, /resources\.max_mem is not a key of resources/],
    [
      "too much memory",
      `${NAME}resources: { max_memory: 257MB }`,
      /resources\.max_memory asks for 269484032 bytes, but a plugin may ask for 268435456$/,
    ],
    [
      "a minimum above the maximum",
      `${NAME}min_memory: 3MB\nmax_memory: 2MB`,
      /min_memory asks for 3145728 bytes, which is more than the 2097152 of max_memory$/,
    ],
    [
      "memory that is stated twice",
      `${NAME}max_memory: 2MB\nresources: { max_memory: 2MB }`,
      /resources\.max_memory is given twice; max_memory says it, too$/,
    ],
    ["a size that is none", `${NAME}max_memory: lots`, /max_memory is "lots" but must be a size such as/],
    ["a size of nothing", `${NAME}max_memory: 0KB`, /max_memory is "0KB" but must be a size/],
    ["an unknown unit", `${NAME}max_memory: 1XB`, /max_memory is "1XB" but must be a size/],
    ["a negative size", `${NAME}max_memory: -1`, /max_memory is -1 but must be a whole number from 1 up$/],
    ["a key that is given twice", `${NAME}name: h`, /line 2, column 1: the key "name" is given twice$/],
    ["a tag", `${NAME}version: !!binary MQ==`, /line 2, column 10: Unresolved tag/],
    ["two documents", `${NAME}---\nname: h`, /line 2, column 1: a second document begins/],
    ["an alias of nothing", `${NAME}version: *v`, /line 2, column 10: the alias "\*v" stands for nothing above it$/],
    [
      "aliases that make it large",
      `a0: &a0 [x,x,x,x,x,x,x,x]\n${Array.from({ length: 9 }, (_u, i) => `a${i + 1}: &a${i + 1} [${Array(8).fill(`*a${i}`).join()}]`).join("\n")}`,
      /more than 20000 values; aliases count/,
    ],
    ["an alias of what it is part of", "a: &a [*a]", /the alias "\*a" stands for nothing above it/],
    ["deep nesting", `a: ${"[".repeat(5000)}${"]".repeat(5000)}`, /there are more than 32 levels$/],
    ["nesting just too deep", `a: ${"[".repeat(33)}${"]".repeat(33)}`, /there are more than 32 levels$/],
    ["a long text", `name: ${"x".repeat(70_000)}`, /it has 70006 characters, but YAML may have 65536$/],
    ["an older YAML", "%YAML 1.1\n---\nname: g", /it asks for rules of an older YAML/],
    ["a list at the top", "- name", /it is an array but must be an object$/],
    ["nothing at all", "", /it is null but must be an object$/],
  ];
  for (const [title, yaml, reason] of cases) {
    it(title, async () => {
      const { code, message } = await refusal(readHelios(beside({ "guard.yaml": yaml })));
      assert.deepEqual([code, message.startsWith('Cannot use "')], ["MORTISE_MANIFEST_INVALID", true], message);
      assert.match(message, reason);
    });
  }
});

describe("HeliosManifest", () => {
  it("has every hook of HeliosProxy by each of its names, in any case, once", async () => {
    const names = [...HELIOS_HOOKS.keys()].map((name) => name.toUpperCase());
    const { hooks } = await manifestOf(beside({ "guard.json": JSON.stringify({ name: "g", hooks: names }) }));
    assert.deepEqual(hooks, [
      "pre_query",
      "post_query",
      "authenticate",
      "authorize",
      "route",
      "cache_get",
      "cache_set",
      "rewrite",
      "metrics",
      "on_connect",
      "on_disconnect",
      "custom_hook",
    ]);
  });

  const cases: readonly (readonly [permissions: readonly string[], grants: readonly (readonly [names: string, grant: string | undefined])[]])[] = [
    [["kv_read"], [["kv_read", 'kv = "read"']]],
    [["kv_write", "kv_read"], [["kv_read kv_write", 'kv = "read-write"']]],
    [["cache_read"], [["cache_read", 'cache = "read"']]],
    [["cache_write"], [["cache_write", 'cache = "read-write"']]],
    [["metrics", "metric_inc", "metric_gauge"], [["metrics", "metrics = true"]]],
    [["cryptography"], [["crypto", "crypto = true"]]],
    [["query"], [["query_execute", 'databases = { NAME = "read-write" }']]],
    [["http", "network"], [["http_fetch network", 'hosts = ["HOST"]']]],
    [["fs_read"], [["filesystem_read", 'paths = { "ro:FOLDER" = "/GUEST" }']]],
    [["fs_read", "fs_write"], [["filesystem_read filesystem_write", 'paths = { "FOLDER" = "/GUEST" }']]],
    [["config"], []],
    [["Secret_Sauce"], [["secret_sauce", undefined]]],
  ];
  for (const [permissions, grants] of cases) {
    it(`asks for ${permissions.join(" and ")} without granting it`, async () => {
      const { requested } = await manifestOf(beside({ "guard.json": JSON.stringify({ name: "g", permissions }) }));
      assert.deepEqual(
        requested.map(({ names, grant }) => [names.join(" "), grant]),
        grants,
      );
    });
  }
});

function damagedEnd(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  copy[copy.length - 6] = (copy[copy.length - 6] as number) ^ 1;
  return copy;
}
