// importConfig: what becomes of each key of each system, and that what cannot be carried is said.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";
import { parse } from "smol-toml";

import { isMortiseError } from "../../src/api/errors.ts";
import type { ImportNote } from "../../src/config/import/draft.ts";
import type { FoundPlugin } from "../../src/config/import/from-helios.ts";
import { type ImportOptions, type ImportedConfig, importConfig } from "../../src/config/import/import-config.ts";
import { parseConfig } from "../../src/config/read-config.ts";

type Tables = Record<string, unknown>;

/** Imports; what is written must be what the object says, and a configuration. */
async function imported(text: string, source: string, options: Partial<ImportOptions> = {}): Promise<ImportedConfig> {
  const result = await importConfig(text, { source, ...options });
  assert.deepEqual(plain(parse(result.toml)), plain(result.config));
  await parseConfig(result.toml);
  for (const { what, why, todo } of result.notes) assert.ok(what !== "" && why !== "" && todo !== "");
  return result;
}

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
const pluginsOf = ({ config }: ImportedConfig): Tables[] => (config["plugins"] ?? []) as Tables[];
const providersOf = ({ config }: ImportedConfig): Tables[] => (config["gateway"] as { providers?: Tables[] } | undefined)?.providers ?? [];
const noteAt = ({ notes }: ImportedConfig, place: string, what?: string): ImportNote => {
  const found = notes.find((note) => note.place === place && (what === undefined || note.what === what));
  return found ?? assert.fail(`no note at ${place} among ${notes.map((note) => `${note.place} (${note.what})`).join(", ")}`);
};

async function refusal(text: string, source: string): Promise<string> {
  try {
    await importConfig(text, { source });
  } catch (error) {
    assert.ok(isMortiseError(error), String(error));
    assert.equal(error.code, "MORTISE_CONFIG_INVALID");
    return error.message;
  }
  return assert.fail("it was accepted");
}

const PROVIDERS = { providers: [{ name: "openai", path: "/p/openai.wasm", config: { model: "m", api_key: "sk-1" } }] };
const PROVIDERS_TOML = '[[providers]]\nname = "openai"\npath = "/p/openai.wasm"\n\n[providers.config]\nmodel = "m"\napi_key = "sk-1"\n';
const PROVIDERS_YAML = 'providers:\n  - name: openai # the main one\n    path: "/p/openai.wasm"\n    config: { model: m, api_key: sk-1 }\n';

describe("importConfig", () => {
  const systems: readonly (readonly [source: string, text: string, system: string])[] = [
    ["providers.toml", PROVIDERS_TOML, "QueryMT"],
    ["providers.json", JSON.stringify(PROVIDERS), "QueryMT"],
    ["providers.yaml", PROVIDERS_YAML, "QueryMT"],
    ["providers.yml", PROVIDERS_YAML, "QueryMT"],
    ["plugins.toml", PROVIDERS_TOML, "QueryMT"],
    ["index", JSON.stringify(PROVIDERS), "QueryMT"],
    ["empty.toml", "providers = []", "QueryMT"],
    [".query/plugins.toml", '[[plugin]]\nname = "a.wasm"\n', "Query"],
    ["config.json", '{"providers": {"openai": {}}, "plugins": [{"name": "a", "path": "a.wasm"}]}', "Bifrost"],
    ["config.json", '{"plugins": []}', "Bifrost"],
    ["proxy.toml", "[plugins]\nenabled = true\n", "HeliosProxy"],
  ];
  for (const [source, text, system] of systems)
    it(`tells that ${source} with ${JSON.stringify(text.slice(0, 24))} is of ${system}`, async () =>
      assert.equal((await imported(text, source)).system, system));

  it("says the same of TOML, JSON and YAML, with the places of each", async () => {
    const results = [
      await imported(PROVIDERS_TOML, "providers.toml"),
      await imported(JSON.stringify(PROVIDERS, null, 2), "providers.json"),
      await imported(PROVIDERS_YAML, "providers.yaml"),
    ];
    for (const { config } of results) assert.deepEqual(plain(config), plain(results[0]?.config));
    const places = results.map((result) => noteAt(result, "providers[0].config.api_key")).map(({ line, column }) => [line, column]);
    assert.deepEqual(places, [
      [7, 1],
      [8, 9],
      [4, 25],
    ]);
  });

  const strangers: readonly (readonly [title: string, text: string, source: string, reason: string])[] = [
    ["its own configuration", '[[plugins]]\nname = "a"\nsource = "a.wasm"\n', "mortise.toml", "it is a configuration of Mortise already"],
    ["a manifest of Extism's", '{"wasm": []}', "manifest.json", "it is a manifest of one plugin, which is loaded as it is"],
    [
      "something else",
      "[package]\nname = 1\n[dependencies]\n",
      "Cargo.toml",
      "it has none of providers (QueryMT), plugin (Query), a list plugins (Bifrost) or a table plugins (HeliosProxy), but package, dependencies",
    ],
    [
      "nothing",
      "",
      "x.toml",
      "it has none of providers (QueryMT), plugin (Query), a list plugins (Bifrost) or a table plugins (HeliosProxy), but is empty",
    ],
    ["a list", "[]", "x.json", "it is no table at the top"],
    ["nothing in YAML", "", "x.yaml", "it is no table at the top"],
  ];
  for (const [title, text, source, reason] of strangers)
    it(`refuses ${title}`, async () => assert.equal(await refusal(text, source), `Cannot use "${source}": ${reason}`));

  const faults: readonly (readonly [text: string, source: string, message: RegExp])[] = [
    ["providers = [", "p.toml", /^Cannot use "p\.toml", line 1, column \d+: /],
    ['{"providers": [}', "p.json", /^Cannot use "p\.json", line 1, column 16: /],
    ["providers: [", "p.yaml", /^Cannot use "p\.yaml", line \d, column \d+: /],
    ["providers: []\nproviders: []", "p.yaml", /line 2, column 1: the key "providers" is given twice$/],
    ["a: &a [1]\nproviders: [*b]", "p.yaml", /the alias "\*b" stands for nothing above it$/],
    ["providers: [!!js/function x]", "p.yaml", /Unresolved tag/],
    ["[[providers]]\npath = 'x'", "p.toml", /line 1, column \d+: providers\[0\]\.name is missing$/],
    ["[[providers]]\nname = 'x'\npath = ''", "p.toml", /line 3, column 1: providers\[0\]\.path is empty but must be text of at least one character$/],
    ["[[providers]]\nname = 5\npath = 'x'", "p.toml", /providers\[0\]\.name is 5 but must be text/],
    ["providers = [1]", "p.toml", /providers\[0\] is 1 but must be a table$/],
    ["providers = []\noci = 5", "p.toml", /line 2, column 1: oci is 5 but must be a table$/],
    ["[[providers]]\nname = 'x'\npath = 'x'\nconfig = []", "p.toml", /providers\[0\]\.config is an array but must be a table$/],
    ['{"plugins": [{"path": "x"}]}', "c.json", /plugins\[0\]\.name is missing$/],
    ['{"plugins": [5]}', "c.json", /plugins\[0\] is 5 but must be a table$/],
    ["[[plugin]]\ntag = 'x'", "p.toml", /plugin\[0\]\.name is missing$/],
    [`{"plugins": [${Array(1001).fill('{"name":"a"}').join()}]}`, "c.json", /plugins has 1001 entries but may have 1000$/],
    [`{"providers": [], "__proto__": 1}`, "p.json", /__proto__/],
  ];
  for (const [text, source, message] of faults)
    it(`refuses ${text.slice(0, 60)} with its place`, async () => assert.match(await refusal(text, source), message));

  it("keeps every secret out of the text, the object and the notes", async () => {
    const secret = "s3cr3t-value";
    const secrets = {
      api_key: secret,
      apiKey: secret,
      nested: [{ clientSecret: secret }],
      Authorization: secret,
      plain: `sk-${secret}`,
      url: `https://me:${secret}@host/`,
    };
    const texts = [
      await imported(
        JSON.stringify({
          providers: [{ name: "p", path: `https://u:${secret}@h/x.wasm`, config: { ...secrets, base_url: `https://u:${secret}@h/` } }],
        }),
        "p.json",
      ),
      await imported(JSON.stringify({ plugins: [{ name: "p", path: `http://u:${secret}@h/x.wasm`, config: secrets }] }), "c.json"),
      await imported(
        `[[plugin]]\nname = "a.wasm"\nurl = "https://u:${secret}@h/a.wasm"\nrepo_url = "https://u:${secret}@github.com/a/b"\n`,
        "q.toml",
      ),
      await imported(`[plugins]\nenabled = true\n[plugins.p.config]\ntoken = "${secret}"\n`, "proxy.toml"),
    ];
    for (const result of texts) assert.ok(!JSON.stringify(result).includes(secret), result.toml);
    const { config } = pluginsOf(texts[1] as ImportedConfig)[0] as { config: Tables };
    assert.deepEqual(config, {
      api_key: { env: "P_API_KEY" },
      apiKey: { env: "P_APIKEY" },
      nested: [{ clientSecret: { env: "P_NESTED_0_CLIENTSECRET" } }],
      Authorization: { env: "P_AUTHORIZATION" },
      plain: { env: "P_PLAIN" },
      url: { env: "P_URL" },
    });
  });

  it("writes any values so that they are read as they were", async () => {
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { depthSize: "small" },
        fc.string({ unit: "grapheme" }),
        fc.string({ unit: "binary" }),
        fc.integer(),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.boolean(),
        fc.array(tie("any"), { maxLength: 3 }),
        tie("table"),
      ),
      table: fc.dictionary(
        fc.string({ unit: "grapheme" }).filter((key) => key !== "__proto__"),
        tie("any"),
        { maxKeys: 4 },
      ),
    })).table;
    await fc.assert(
      fc.asyncProperty(value, async (config) => {
        const { toml, notes } = await importConfig(JSON.stringify({ plugins: [{ name: "a", path: "/a.wasm", enabled: true, config }] }), {
          source: "c.json",
        });
        const { plugins } = await parseConfig(toml);
        if (notes.some(({ place }) => place.startsWith("plugins[0].config"))) return;
        assert.deepEqual(unwrapped(plugins[0]?.config), plain(config));
      }),
      { numRuns: 300 },
    );
  });

  it("bounds its notes", async () => {
    const config = Object.fromEntries(Array.from({ length: 2000 }, (_unused, index) => [`k${index}`, null]));
    const { notes } = await imported(JSON.stringify({ plugins: [{ name: "a", path: "/a.wasm", config }] }), "c.json");
    assert.equal(notes.length, 500);
    assert.match(notes.at(-1)?.what ?? "", /^15\d\d more notes$/);
  });
});

describe("importConfig of QueryMT", () => {
  const one = async (provider: Tables, more: Tables = {}): Promise<ImportedConfig> =>
    imported(JSON.stringify({ providers: [{ name: "openai", path: "/p/openai.wasm", ...provider }], ...more }), "providers.json");

  it("carries a provider with key, hosts and time", async () => {
    const result = await one({
      config: { api_key: "sk-1", base_url: "https://llm.example.com:8443/v1", allowed_hosts: ["cdn.example.com"], timeout_seconds: 30, model: "m" },
    });
    assert.deepEqual(providersOf(result), [
      {
        name: "openai",
        source: "/p/openai.wasm",
        request_timeout_ms: 30_000,
        permissions: { hosts: ["cdn.example.com", "llm.example.com:8443"] },
        config: { api_key: { env: "OPENAI_API_KEY" }, base_url: "https://llm.example.com:8443/v1", model: "m" },
      },
    ]);
    assert.deepEqual(noteAt(result, "providers[0].config.timeout_seconds"), {
      place: "providers[0].config.timeout_seconds",
      line: 1,
      column: noteAt(result, "providers[0].config.timeout_seconds").column,
      what: "timeout_seconds",
      why: "nothing read it there; here the request ends at that time",
      todo: "correct request_timeout_ms, if that is too short",
    });
    assert.match(noteAt(result, "providers[0].config.base_url").todo, /"private:llm\.example\.com:8443"/);
  });

  it("suggests key and hosts of a provider that names none, without granting them", async () => {
    const result = await imported('[[providers]]\nname = "google"\npath = "/g.wasm"\n', "providers.toml");
    assert.deepEqual(providersOf(result), [{ name: "google", source: "/g.wasm" }]);
    assert.match(result.toml, /# if it needs a key: api_key = \{ env = "GEMINI_API_KEY" \} under \[gateway\.providers\.config\]\n/);
    assert.match(
      result.toml,
      /# needs, to ask its own server: hosts = \["generativelanguage\.googleapis\.com"\] under \[gateway\.providers\.permissions\]\n/,
    );
  });

  it("reads a variable where people wrote one", async () => {
    const result = await one({ config: { api_key: "${ZAI_API_KEY}" } });
    assert.deepEqual(providersOf(result)[0]?.["config"], { api_key: { env: "ZAI_API_KEY" } });
    assert.match(noteAt(result, "providers[0].config.api_key").what, /ZAI_API_KEY/);
  });

  const notes: readonly (readonly [title: string, provider: Tables, more: Tables, place: string, why: RegExp])[] = [
    ["modules in registries", { path: "oci://ghcr.io/querymt/openai:latest" }, {}, "providers[0].path", /nothing loads it as it stands/],
    ["pinned images", { path: "oci://ghcr.io/q/o@sha256:1" }, {}, "providers[0].path", /its digest is that of the image/],
    ["relative paths", { path: "o.wasm" }, {}, "providers[0].path", /it starts at the working directory there/],
    [
      "an empty list of hosts",
      { config: { allowed_hosts: [] } },
      {},
      "providers[0].config.allowed_hosts",
      /it allowed every host there; here it allows none/,
    ],
    [
      "hosts that are none",
      { config: { allowed_hosts: ["https://a"] } },
      {},
      "providers[0].config.allowed_hosts[0]",
      /it has a scheme; only whole names were matched there/,
    ],
    ["hosts that are no list", { config: { allowed_hosts: "a" } }, {}, "providers[0].config.allowed_hosts", /it is no list/],
    ["times that are none", { config: { timeout_seconds: "5" } }, {}, "providers[0].config.timeout_seconds", /it is no number of seconds/],
    ["null", { config: { model: null } }, {}, "providers[0].config.model", /TOML has none/],
    ["keys that nobody reads", { digest: "x" }, {}, "providers[0].digest", /read by nobody there/],
    ["tables that nobody reads", {}, { mcp: [] }, "mcp", /read by nobody there/],
    ["signatures", {}, { oci: { insecure_skip_signature: true } }, "oci.insecure_skip_signature", /signatures of images are not looked at here/],
    ["issuers", {}, { oci: { cert_issuer: "x" } }, "oci.cert_issuer", /no trust in certificates/],
    ["keys of oci that are none", {}, { oci: { certissuer: "x" } }, "oci.certissuer", /read by nobody there/],
    ["numbers beyond JSON", { config: { n: 2 ** 60 } }, {}, "providers[0].config.n", /as JSON/],
  ];
  for (const [title, provider, more, place, why] of notes)
    it(`notes ${title}`, async () => assert.match(noteAt(await one(provider, more), place).why, why));

  it("leaves native libraries out, with a comment", async () => {
    for (const path of ["/p/libqmt_llama.so", "/p/libqmt.dylib", "/p/qmt.DLL"]) {
      const result = await one({ path });
      assert.deepEqual(providersOf(result), []);
      assert.match(result.toml, /# providers\[0\], line 1: "openai" is a native library, which was left out\n/);
      assert.equal(noteAt(result, "providers[0].path").what, "a native library");
    }
  });

  it("gives each plugin a name that it may have, and has alone", async () => {
    const names = ["a", "a", "A B", "../x", "ü", "a".repeat(80)];
    const result = await imported(JSON.stringify({ providers: names.map((name) => ({ name, path: "/x.wasm" })) }), "p.json");
    assert.deepEqual(
      providersOf(result).map(({ name }) => name),
      ["a", "a-2", "A-B", "x", "plugin", "a".repeat(56)],
    );
    assert.equal(noteAt(result, "providers[1].name").why, "two plugins have it");
  });
});

describe("importConfig of Bifrost", () => {
  const many = async (...plugins: Tables[]): Promise<ImportedConfig> => imported(JSON.stringify({ plugins }), "config.json");

  it("carries plugins in the order in which they ran", async () => {
    const path = "/x.wasm";
    const result = await many(
      { name: "late", path, enabled: true, order: 5 },
      { name: "second", path, enabled: true },
      { name: "third", path, enabled: true, placement: "post_builtin" },
      { name: "first", path, enabled: true, order: 9, placement: "pre_builtin" },
      { name: "negative", path, enabled: true, order: -1 },
    );
    assert.deepEqual(
      pluginsOf(result).map(({ name, order }) => [name, order]),
      [
        ["first", 10],
        ["negative", 20],
        ["second", 30],
        ["third", 40],
        ["late", 50],
      ],
    );
    assert.match(noteAt(result, "plugins[3].placement").why, /it counted for the order/);
    assert.match(noteAt(result, "plugins").why, /errors of plugins were warnings there/);
  });

  it("carries configuration, and tables that look like references to secrets as they are", async () => {
    const result = await many({
      name: "a",
      path: "https://h.example/a.wasm",
      enabled: true,
      config: { env: "x", t: { env: "x" }, f: { file: "y" }, l: { literal: 1 }, n: { deep: [{ env: "z" }] } },
    });
    assert.deepEqual(pluginsOf(result)[0], {
      name: "a",
      source: "https://h.example/a.wasm",
      abi: "bifrost",
      order: 10,
      config: {
        env: "x",
        t: { literal: { env: "x" } },
        f: { literal: { file: "y" } },
        l: { literal: { literal: 1 } },
        n: { deep: [{ literal: { env: "z" } }] },
      },
    });
    const { plugins } = await parseConfig(result.toml);
    assert.deepEqual(plain(plugins[0]?.config), { env: "x", t: { env: "x" }, f: { file: "y" }, l: { literal: 1 }, n: { deep: [{ env: "z" }] } });
  });

  it("keeps off what is not enabled", async () => {
    const result = await many(
      { name: "a", path: "/a.wasm", enabled: false },
      { name: "b", path: "/b.wasm" },
      { name: "c", path: "/c.wasm", enabled: true },
    );
    assert.deepEqual(
      pluginsOf(result).map(({ enabled }) => enabled),
      [false, false, undefined],
    );
    assert.match(noteAt(result, "plugins[1].enabled").why, /a plugin that does not say so is not enabled there/);
  });

  it("leaves plugins of the gateway and Go libraries out, with comments", async () => {
    const result = await many({ name: "telemetry", enabled: true }, { name: "go", path: "https://h/x.so?v=1", enabled: true });
    assert.deepEqual(pluginsOf(result), []);
    assert.match(result.toml, /"telemetry" is built into the gateway, and was left out/);
    assert.match(result.toml, /"go" is a Go library, which was left out/);
  });

  for (const [key, value] of Object.entries({ version: 2, semaphore_size: 5, inject_timeout: "5s", placement: "middle", colour: 1 }))
    it(`notes ${key}`, async () => assert.ok(noteAt(await many({ name: "a", path: "/a.wasm", enabled: true, [key]: value }), `plugins[0].${key}`)));

  it("notes a configuration that is no object, and the rest of the file", async () => {
    assert.match(noteAt(await many({ name: "a", path: "/a.wasm", enabled: true, config: [1] }), "plugins[0].config").why, /a table here/);
    const result = await imported('{"$schema": "x", "client": {}, "providers": {}, "plugins": []}', "config.json");
    assert.equal(noteAt(result, "").what, "the settings client");
  });

  it("carries providers with keys, servers, times and concurrency", async () => {
    const result = await imported(
      JSON.stringify({
        providers: {
          openai: {
            keys: [
              { name: "main", value: "env.OPENAI_API_KEY", weight: 0.7, models: ["gpt-4o"] },
              { value: "sk-clear", weight: 1, models: ["*"], use_for_batch_api: true },
            ],
            network_config: { base_url: "https://llm.example.com", default_request_timeout_in_seconds: 30, max_retries: 3, extra_headers: {} },
            concurrency_and_buffer_size: { concurrency: 10, buffer_size: 20 },
            send_back_raw_response: true,
          },
          anthropic: { keys: [] },
          groq: {},
          mine: { custom_provider_config: { base_provider_type: "openai" }, network_config: { base_url: "http://localhost:8000/v1" } },
          bedrock: { keys: [{ value: "x" }] },
        },
      }),
      "config.json",
    );
    assert.deepEqual(providersOf(result), [
      {
        name: "openai",
        source: "builtin:openai",
        keys: [{ name: "main", key: { env: "OPENAI_API_KEY" }, weight: 0.7, models: ["gpt-4o"] }, { key: { env: "OPENAI_API_KEY_2" } }],
        request_timeout_ms: 30_000,
        concurrency: { limit: 10, queue: 20 },
        config: { base_url: "https://llm.example.com/v1" },
      },
      { name: "anthropic", source: "builtin:anthropic" },
      { name: "groq", source: "builtin:openai", config: { base_url: "https://api.groq.com/openai/v1" } },
      { name: "mine", source: "builtin:openai", config: { base_url: "http://localhost:8000/v1" } },
    ]);
    assert.ok(!result.toml.includes("sk-clear"));
    const at = "providers.openai";
    assert.match(noteAt(result, `${at}.network_config.base_url`).todo, /llm\.example\.com\/v1 is right/);
    assert.match(noteAt(result, `${at}.network_config`).todo, /\[gateway\.attempts\]/);
    assert.match(noteAt(result, `${at}.network_config.extra_headers`).why, /nothing like it/);
    assert.match(noteAt(result, `${at}.keys[1].use_for_batch_api`).why, /nothing like it/);
    assert.match(noteAt(result, `${at}.send_back_raw_response`).why, /nothing like it/);
    assert.match(noteAt(result, `${at}.keys[1].api_key_2`).what, /in the clear/);
    assert.match(noteAt(result, "providers.bedrock").why, /speaks its interface/);
  });
});

describe("importConfig of Query", () => {
  const HASH = "Ab".repeat(32);
  const entry = (more: string): Promise<ImportedConfig> => imported(`[[plugin]]\nname = "plugin_argon2.wasm"\n${more}\n`, ".query/plugins.toml");

  it("carries an entry, with where it came from as comments", async () => {
    const result = await entry(
      `tag = "v1.0.0"\nurl = "https://github.com/o/r/a.wasm"\nsha256 = "${HASH}"\nrepo_url = "o/r@v1.0.0"\npublished_at = "2024-08-14T00:00:00Z"`,
    );
    assert.deepEqual(pluginsOf(result), [
      { name: "plugin_argon2.wasm", source: "plugins/plugin_argon2.wasm", digest: `sha256:${HASH.toLowerCase()}`, abi: "extism" },
    ]);
    for (const line of [
      "installed from o/r@v1.0.0, release v1.0.0",
      "published 2024-08-14T00:00:00Z",
      "downloaded from https://github.com/o/r/a.wasm",
    ])
      assert.ok(result.toml.includes(`# ${line}\n`), line);
    assert.deepEqual(
      result.notes.map(({ what }) => what),
      ["the folder of the modules", "what plugins may do"],
    );
  });

  it("takes the digits of what sha256sum prints", async () => {
    const result = await entry(`sha256 = "${HASH}  plugin_argon2.wasm\\n"`);
    assert.equal(pluginsOf(result)[0]?.["digest"], `sha256:${HASH.toLowerCase()}`);
  });

  for (const [title, line] of [
    ["an empty digest", 'sha256 = ""'],
    ["no digest", ""],
    ["a digest that is none", 'sha256 = "abc"'],
    ["a digest that is longer", `sha256 = "${HASH}0"`],
  ] as const) {
    it(`notes ${title}, and writes none`, async () => {
      const result = await entry(line);
      assert.equal(pluginsOf(result)[0]?.["digest"], undefined);
      assert.match(noteAt(result, "plugin[0].sha256").todo, /sha256sum/);
    });
  }

  it("stays in the folder of plugins, whatever the name", async () => {
    const result = await imported('[[plugin]]\nname = "../../etc/x.wasm"\n', "q.toml");
    assert.deepEqual([pluginsOf(result)[0]?.["source"], pluginsOf(result)[0]?.["name"]], ["plugins/x.wasm", "etc-x.wasm"]);
    assert.equal(noteAt(result, "plugin[0].name", "a name with folders").todo, "correct the source");
  });
});

describe("importConfig of HeliosProxy", () => {
  const FOUND: readonly FoundPlugin[] = [
    { file: "cost_governor.wasm", name: "cost-governor", digest: "0".repeat(64), grants: ['kv = "read-write"'] },
    { file: "bad.wasm", fault: "Cannot read it" },
  ];
  const proxy = (text: string, found: readonly FoundPlugin[] | undefined = FOUND): Promise<ImportedConfig> =>
    imported(text, "proxy.toml", { list: () => Promise.resolve(found) });

  it("carries limits, quotas, the store and the plugins of the folder", async () => {
    const result = await proxy(
      '[plugins]\nenabled = true\nplugin_dir = "/p/"\ntimeout_ms = 50\nmemory_limit_mb = 32\nfuel_limit = 500000\nkv_max_value_bytes = 2048\nkv_max_keys_per_plugin = 10\nkv_max_total_bytes = 1048576\n',
    );
    assert.deepEqual(result.config, {
      defaults: { limits: { timeout_ms: 50, memory_mb: 32, fuel: 500_000 } },
      store: { kind: "memory", max_mb: 1 },
      plugins: [
        {
          name: "cost-governor",
          source: "/p/cost_governor.wasm",
          digest: `sha256:${"0".repeat(64)}`,
          abi: "helios",
          quotas: { kv_value_kb: 2, kv_keys: 10 },
        },
      ],
    });
    assert.match(result.toml, /# found in \/p\/\n# asks for, under \[plugins\.permissions\]: kv = "read-write"\n\[\[plugins\]\]\n/);
    assert.match(result.toml, /# \/p\/bad\.wasm was left out: Cannot read it\n/);
  });

  it("writes the proxy's defaults where nothing is set", async () => {
    const result = await proxy("[plugins]\nenabled = true\n", []);
    assert.deepEqual(result.config, {
      defaults: { limits: { timeout_ms: 100, memory_mb: 64, fuel: 1_000_000 } },
      store: { kind: "memory", max_mb: 64 },
    });
  });

  it("sets no fuel where it was not metered", async () => {
    const { config } = await proxy("[plugins]\nfuel_metering = false\nfuel_limit = 5\n", []);
    assert.deepEqual(config["defaults"], { limits: { timeout_ms: 100, memory_mb: 64 } });
  });

  it("turns plugins off that were off", async () => {
    const off = await proxy("[plugins]\n");
    assert.equal(pluginsOf(off)[0]?.["enabled"], false);
    assert.equal(noteAt(off, "plugins.enabled").why, "plugins are off there unless it is true");
    const one = await proxy("[plugins]\nenabled = true\n[plugins.cost-governor]\nenabled = false\n");
    assert.equal(pluginsOf(one)[0]?.["enabled"], false);
  });

  it("gives a plugin what its own table says, though it had no effect", async () => {
    const result = await proxy(
      '[plugins]\nenabled = true\n[plugins.cost_governor]\npriority = 7\nmemory_limit = "1MB"\n[plugins.cost_governor.config]\nlevel = 2\n[plugins.other]\n',
    );
    assert.deepEqual(
      pluginsOf(result).map(({ name, order, config, source }) => [name, order, config, source]),
      [
        ["cost-governor", -7, { level: 2 }, "/etc/heliosproxy/plugins/cost_governor.wasm"],
        ["other", undefined, undefined, "/etc/heliosproxy/plugins/other.wasm"],
      ],
    );
    assert.match(noteAt(result, "plugins.cost_governor.priority").todo, /its sign turned/);
    assert.match(noteAt(result, "plugins.cost_governor.memory_limit").why, /no effect there/);
    assert.match(noteAt(result, "plugins.other").why, /not looked for, or not found/);
  });

  const notes: readonly (readonly [line: string, place: string, why: RegExp])[] = [
    ["hot_reload = true", "plugins.hot_reload", /no effect there/],
    ["max_plugins = 5", "plugins.max_plugins", /not enforced there/],
    ["kv_max_plugins = 5", "plugins.kv_max_plugins", /one by one/],
    ['trust_root = "/k"', "plugins.trust_root", /signatures are not verified here/],
    ["kv_max_value_bytes = 0", "plugins.kv_max_value_bytes", /0 is unlimited there/],
    ["kv_max_total_bytes = 0", "plugins.kv_max_total_bytes", /0 is unlimited there/],
    ["memory_limit_mb = 5", "plugins.memory_limit_mb", /not enforced there; here it is/],
    ["timeout_ms = -1", "plugins.timeout_ms", /it is no whole number; 100, the default, was taken/],
    ['cache_dir = "x"', "plugins.cache_dir", /read by nobody there/],
    ['plugin_dir = "p"', "plugins.plugin_dir", /it starts at the working directory there/],
  ];
  for (const [line, place, why] of notes)
    it(`notes ${line}`, async () => assert.match(noteAt(await proxy(`[plugins]\nenabled = true\n${line}\n`), place).why, why));

  it("says that a folder could not be looked into", async () => {
    assert.match(noteAt(await imported("[plugins]\nenabled = true\n", "proxy.toml"), "plugins.plugin_dir").why, /could not be looked into/);
  });
});

/** A configuration without what is read from variables. */
function unwrapped(value: unknown): unknown {
  return plain(value ?? {});
}
