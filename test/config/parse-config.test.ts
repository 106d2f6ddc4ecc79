// parseConfig: what is wrong is said with its line, column and place, all of it at once.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { parseConfig } from "../../src/config/read-config.ts";
import { errorOf, problemsOf } from "./faults.ts";

/** Lines below the first three, in a plugin. */
const plugin = (lines: string): string => `[[plugins]]\nname = "a"\nsource = "a.wasm"\n${lines}`;

describe("parseConfig's problems", () => {
  const cases: readonly (readonly [text: string, ...problems: string[]])[] = [
    // unknown keys
    [
      "[[plugins]]\nname = 'a'\nsource = 'a'\n  [plugins.limits]\n  timout_ms = 5",
      "5:3 plugins[0].limits.timout_ms is unknown; did you mean timeout_ms?",
    ],
    ["plugin = []", "1:1 plugin is unknown; did you mean plugins?"],
    ["frobnicate = 1", "1:1 frobnicate is unknown"],
    [plugin("memory_mb = 5"), "4:1 plugins[0].memory_mb is unknown; did you mean limits.memory_mb?"],
    [plugin("limits.timeoutMs = 5"), "4:8 plugins[0].limits.timeoutMs is unknown; did you mean timeout_ms?"],
    [plugin("limits.stateless = true"), "4:8 plugins[0].limits.stateless is unknown; stateless stands beside limits, not in it"],
    [plugin("permissions.filesystem = true"), "4:13 plugins[0].permissions.filesystem is unknown"],
    [plugin("permissions.host = []"), "4:13 plugins[0].permissions.host is unknown; did you mean hosts?"],
    [plugin("'a b c d' = 1"), '4:1 plugins[0]["a b c d"] is unknown'],
    [plugin('"\\u001b[2J" = 1'), '4:1 plugins[0]["\\u001b[2J"] is unknown'],
    [plugin("toString = 1"), "4:1 plugins[0].toString is unknown"],
    [
      plugin('permissions.paths = { "./a" = { guest = "/a", acess = "read-only" } }'),
      '4:47 plugins[0].permissions.paths["./a"].acess is unknown; did you mean access?',
    ],
    ["[store]\nkind = 'sqlite'\npath = 'a'\nmax_mb = 5", "4:1 store.max_mb is unknown"],
    ["[hooks.before_save]\ntimeout = 5", "2:1 hooks.before_save.timeout is unknown; did you mean timeout_ms?"],
    // what is missing
    ["[[plugins]]\nname = 'a'", "1:1 plugins[0].source is missing; it must be text of at least one character"],
    [
      "\n\n[[plugins]]\nsource = 'a'",
      '3:1 plugins[0].name is missing; it must be a name of letters, digits, ".", "_" and "-", 64 characters at most',
    ],
    ["[store]\nkind = 'sqlite'", "1:2 store.path is missing; it must be text of at least one character"],
    ["[store]", '1:2 store.kind is missing; it must be one of "memory", "sqlite", "redis"'],
    // kinds of values
    ["plugins = 5", "1:1 plugins is 5 but must be an array"],
    ["plugins = [5]", "1:12 plugins[0] is 5 but must be a table"],
    [plugin("limits = []"), "4:1 plugins[0].limits is an array but must be a table"],
    [plugin("limits.timeout_ms = 0"), '4:8 plugins[0].limits.timeout_ms is 0 but must be a number more than 0, or "unlimited"'],
    [plugin("limits.memory_mb = -1"), '4:8 plugins[0].limits.memory_mb is -1 but must be a number from 0 up, or "unlimited"'],
    [plugin("limits.memory_mb = inf"), '4:8 plugins[0].limits.memory_mb is Infinity but must be a number from 0 up, or "unlimited"'],
    [plugin("limits.memory_mb = 1e15"), '4:8 plugins[0].limits.memory_mb is 1000000000000000 but must be a number from 0 up, or "unlimited"'],
    [plugin("limits.fuel = 1.5"), '4:8 plugins[0].limits.fuel is 1.5 but must be a whole number from 0 up, or "unlimited"'],
    [plugin("limits.fuel = '5'"), '4:8 plugins[0].limits.fuel is "5" but must be a whole number from 0 up, or "unlimited"'],
    [plugin("limits.fuel = nan"), '4:8 plugins[0].limits.fuel is NaN but must be a whole number from 0 up, or "unlimited"'],
    [plugin("limits.cpu_share = 2"), "4:8 plugins[0].limits.cpu_share is 2 but must be a number more than 0, and 1 at most"],
    [plugin("limits.cpu_share = 'unlimited'"), '4:8 plugins[0].limits.cpu_share is "unlimited" but must be a number more than 0, and 1 at most'],
    [plugin("http.max_redirects = 101"), "4:6 plugins[0].http.max_redirects is 101 but must be a whole number from 0 to 100"],
    [plugin("order = 1.5"), "4:1 plugins[0].order is 1.5 but must be a whole number"],
    [plugin("enabled = 'yes'"), '4:1 plugins[0].enabled is "yes" but must be true or false'],
    [plugin("isolation = 'cellar'"), '4:1 plugins[0].isolation is "cellar" but must be one of "inline", "thread", "process"'],
    [plugin("abi = 'wasi'"), '4:1 plugins[0].abi is "wasi" but must be one of "extism", "bifrost", "helios", "querymt", "native"'],
    [plugin("digest = 'sha256:abc'"), '4:1 plugins[0].digest is "sha256:abc" but must be "sha256:" and 64 hexadecimal digits in lower case'],
    [plugin("on_failure = 'retry'"), '4:1 plugins[0].on_failure is "retry" but must be "closed", "open", or a table of these by hook'],
    [plugin("on_failure.save = 'retry'"), '4:12 plugins[0].on_failure.save is "retry" but must be one of "closed", "open"'],
    [plugin("permissions.kv = true"), '4:13 plugins[0].permissions.kv is true but must be one of "read", "read-write"'],
    [plugin("permissions.hosts = 'x'"), '4:13 plugins[0].permissions.hosts is "x" but must be an array'],
    [
      plugin("permissions.paths.a = 5"),
      "4:19 plugins[0].permissions.paths.a is 5 but must be the guest's path, or a table with guest, access and max_mb",
    ],
    [
      plugin("permissions.attributes.read = ['a*b']"),
      '4:32 plugins[0].permissions.attributes.read[0] is "a*b" but must be a name, or the beginning of names with * at the end',
    ],
    [
      plugin("filters.save.a = {}"),
      "4:14 plugins[0].filters.save.a is a table but must be a value, an array of values, or a table with prefix, contains, exists, not, gt or lt",
    ],
    [plugin("filters.save.a = [[1]]"), "4:19 plugins[0].filters.save.a[0] is an array but must be text, a number, true, false or null"],
    [plugin("filters.save.'a..b' = 1"), '4:14 plugins[0].filters.save["a..b"] must be a path in the input, such as user.role'],
    [plugin("memory = 5"), "4:1 plugins[0].memory is unknown; did you mean limits.memory_mb?"],
    [plugin("filters.save.a = { prefx = 'x' }"), "4:20 plugins[0].filters.save.a.prefx is unknown; did you mean prefix?"],
    [plugin("filters.save.a = []"), "4:14 plugins[0].filters.save.a is an array but must be an array of at least one value"],
    [plugin("wasi.files = { 'etc/a' = 'x' }"), '4:16 plugins[0].wasi.files["etc/a"] must be an absolute path'],
    [plugin("name2 = 1979-05-27"), "4:1 plugins[0].name2 is unknown; did you mean name?"],
    [
      "[[plugins]]\nname = 1979-05-27\nsource = 'a'",
      '2:1 plugins[0].name is a date but must be a name of letters, digits, ".", "_" and "-", 64 characters at most',
    ],
    [
      "[[plugins]]\nname = 'a b'\nsource = 'a'",
      '2:1 plugins[0].name is "a b" but must be a name of letters, digits, ".", "_" and "-", 64 characters at most',
    ],
    ["[hooks.'a-b']", "1:8 hooks.a-b must be the name of a hook: letters, digits and _"],
    // what keys and kinds do not tell
    [plugin("pool.max_instances = 4"), "4:6 plugins[0].pool.max_instances is 4, but only a plugin with stateless = true may have more than one"],
    [
      plugin("permissions.databases.main = 'read'"),
      "4:23 plugins[0].permissions.databases.main is no database of the configuration; [databases.main] would make it one",
    ],
    [
      plugin("permissions.hosts = ['a.example', 'https://b']"),
      '4:35 plugins[0].permissions.hosts[1] is "https://b", which has a scheme, but must be a host ("api.example.com"), "*.example.com", "*", an IP address, each with or without ":port", or "private:" before a host',
    ],
    [
      plugin('permissions.paths = { a = "/x", "ro:b" = { guest = "/x" } }'),
      '4:33 plugins[0].permissions.paths["ro:b"] gives the plugin\'s path "/x" a second meaning, after "a"',
    ],
    [`${plugin("")}\n${plugin("")}`, '6:1 plugins[1].name is "a", which is given twice: it stands at the configuration, line 2, column 1, too'],
    [plugin("config.n = nan"), "4:8 plugins[0].config.n is NaN, which JSON cannot carry"],
    [plugin("config.n = 1e300"), "4:8 plugins[0].config.n is a whole number that JavaScript cannot hold exactly; write it as text"],
    [plugin("config.list = [1, { a = inf }]"), "4:21 plugins[0].config.list[1].a is Infinity, which JSON cannot carry"],
    [
      plugin("config.key = { env = 'A B' }"),
      "4:16 plugins[0].config.key.env is not the name of an environment variable; a table for the plugin itself is written as { literal = { env = … } }",
    ],
    [
      plugin("config.key = { file = '' }"),
      "4:16 plugins[0].config.key.file is not the path of a file; a table for the plugin itself is written as { literal = { file = … } }",
    ],
    [plugin("wasi.env.A = { env = 5 }"), "4:16 plugins[0].wasi.env.A.env is not the name of an environment variable"],
    ["include = ['a.toml']", "1:1 include can stand in a file only"],
    // TOML itself
    ["a = ", "1:5 invalid value"],
    ["a = 1\na = 2", "2:1 trying to redefine an already defined table or value"],
    ["a = 9007199254740993", "1:5 integer value cannot be represented losslessly"],
  ];
  for (const [text, ...problems] of cases) {
    it(`are said: ${problems.join("; ")}`, async () => assert.deepEqual(await problemsOf(text), problems));
  }

  it("are all reported, in the order of the lines, with the first in the message", async () => {
    const text = `${plugin("limits = { fuel = -1, x = 1 }\n[[plugins]]\nname = 'b'\n")}\n[[plugins]]\nname = "c"\nsource = "c"\nconfig.n = nan\n[[plugins]]\nname = "c"\nsource = "d"`;
    const { message, details } = await errorOf(parseConfig(text, { source: "mortise.toml" }));
    assert.equal(
      message,
      'Cannot use "mortise.toml", line 4, column 12: plugins[0].limits.fuel is -1 but must be a whole number from 0 up, or "unlimited"; there are 4 more problems',
    );
    assert.deepEqual(
      (details["problems"] as { reason: string; source: string; line: number; place: string }[]).map(({ source, line, place }) => [
        source,
        line,
        place,
      ]),
      [
        ['"mortise.toml"', 4, "plugins[0].limits.fuel"],
        ['"mortise.toml"', 4, "plugins[0].limits.x"],
        ['"mortise.toml"', 5, "plugins[1].source"],
        ['"mortise.toml"', 11, "plugins[2].config.n"],
        ['"mortise.toml"', 13, "plugins[3].name"],
      ],
    );
    assert.deepEqual([details["count"], details["line"], details["column"], details["place"]], [5, 4, 12, "plugins[0].limits.fuel"]);
  });

  it("are 20 at most, with the number of all", async () => {
    const { message, details } = await errorOf(parseConfig(Array.from({ length: 5000 }, (_unused, index) => `zz${index} = 1`).join("\n")));
    assert.equal((details["problems"] as unknown[]).length, 20);
    assert.equal(details["count"], 5000);
    assert.match(message, /; there are 4999 more problems$/);
  });

  it("never show a value that may hold a password", async () => {
    const texts = [
      "[store]\nkind = 'redis'\nurl = 'http://user:hunter2@host'",
      "[store]\nkind = 'redis'\nurl = 5",
      plugin("wasi.env = 'hunter2'"),
      plugin("wasi.env.A = ['hunter2']"),
      plugin("http.ca = 'hunter2'"),
      plugin("config = 'hunter2'"),
      plugin("config.key = { env = 'hunter2 hunter2' }"),
    ];
    for (const text of texts) {
      const error = await errorOf(parseConfig(text));
      assert.doesNotMatch(`${error.message}${JSON.stringify(error)}`, /hunter2/, text);
    }
  });
});

describe("parseConfig", () => {
  it("takes an empty text", async () => {
    for (const [text, format] of [
      ["", "toml"],
      ["\ufeff# nothing\r\n", "toml"],
      ["{}", "json"],
      ["\ufeff{}", "json"],
    ] as const) {
      const config = await parseConfig(text, { format });
      assert.deepEqual([config.plugins, config.store, config.hooks, config.native], [[], { kind: "memory" }, { __proto__: null }, []]);
    }
  });

  it("counts columns behind a byte order mark, and lines that end with CR LF", async () => {
    assert.deepEqual(await problemsOf("\ufeffzz9 = 1"), ["1:1 zz9 is unknown"]);
    assert.deepEqual(await problemsOf('\ufeff{"zz9": 1}', { format: "json" }), ["1:2 zz9 is unknown"]);
    assert.deepEqual(await problemsOf("# a\r\n\r\nzz9 = 1\r\n"), ["3:1 zz9 is unknown"]);
  });

  it("does not read YAML of its own accord", async () => {
    await errorOf(parseConfig("plugins: []"));
  });

  it("makes of a plugin what the host takes, in its units", async () => {
    const { plugins } = await parseConfig(
      plugin(`
order = -5
on_failure = { save = "open" }
stateless = true
[plugins.limits]
timeout_ms = 2.5
memory_mb = 0.5
output_kb = 2
fuel = "unlimited"
cpu_share = 0.5
[plugins.pool]
max_instances = 3
recycle_mb = 1
[plugins.http]
max_header_kb = 0.5
allow_http = false
[plugins.permissions]
hosts = ["api.example.com"]
paths = { "ro:data" = "/data", "/srv" = { guest = "/srv", access = "read-only", max_mb = 1 } }
attributes = { read = ["user.*"] }
[plugins.wasi]
args = ["a", ""]
[plugins.quotas]
kv_kb = 8
`),
      { folder: "/base" },
    );
    const [only] = plugins;
    assert.deepEqual(only?.limits, { timeoutMs: 2.5, memoryBytes: 524_288, outputBytes: 2048, fuel: Number.POSITIVE_INFINITY, cpuShare: 0.5 });
    assert.deepEqual(only?.pool, { maxInstances: 3, recycleBytes: 1_048_576 });
    assert.deepEqual(only?.http, { maxHeaderBytes: 512, allowHttp: false });
    assert.deepEqual(
      { ...only?.permissions, paths: { ...only?.permissions.paths } },
      {
        hosts: ["api.example.com"],
        paths: { "ro:/base/data": "/data", "/srv": { guest: "/srv", access: "read-only", maxBytes: 1_048_576 } },
        attributes: { read: ["user.*"] },
      },
    );
    assert.deepEqual([only?.wasi, only?.quotas, only?.source, only?.order], [{ args: ["a", ""] }, { kvBytes: 8192 }, "/base/a.wasm", -5]);
    assert.deepEqual(
      [{ ...(only?.onFailure as object) }, only?.enabled, only?.isolation, only?.logLevel],
      [{ save: "open" }, true, "inline", "info"],
    );
  });

  it("leaves sources with a scheme as they are", async () => {
    for (const source of ["https://example.com/a.wasm", "oci://registry.local/acme/redact:1.4", "github:owner/repo@v1", "file:///a.wasm"]) {
      const { plugins } = await parseConfig(`[[plugins]]\nname = "a"\nsource = "${source}"`);
      assert.equal(plugins[0]?.source, source);
    }
  });

  it("gives plugins the defaults where they say nothing", async () => {
    const { plugins } = await parseConfig(
      `[defaults]\nisolation = "thread"\non_failure = "open"\nlog_level = "warn"\nlimits = { timeout_ms = 50, init_timeout_ms = 70, fuel = 5 }\n${plugin("")}[[plugins]]\nname = "b"\nsource = "b"\nisolation = "inline"\nlimits.timeout_ms = 90`,
    );
    assert.deepEqual(
      plugins.map(({ isolation, onFailure, logLevel, limits }) => [isolation, onFailure, logLevel, limits]),
      [
        ["thread", "open", "warn", { timeoutMs: 50, initTimeoutMs: 70, fuel: 5 }],
        ["inline", "open", "warn", { timeoutMs: 90, fuel: 5 }],
      ],
    );
  });

  it("reads stores, databases, hooks, services and native plugins", async () => {
    const config = await parseConfig(
      `store = { kind = "redis", url = "redis://localhost", prefix = "x:", timeout_ms = 50 }
services = { cache_mb = 1, database_rows = 5, hash_algorithms = ["sha256"] }
native = [{ path = "a.node", digest = "sha256:${"0".repeat(64)}" }]
databases.main = { kind = "sqlite", path = "a.db", max_file_mb = 1 }
hooks.beforeSave = { on_failure = "open", timeout_ms = 5 }`,
      { folder: "/base" },
    );
    assert.deepEqual(config.store, { kind: "redis", url: "redis://localhost", prefix: "x:", timeoutMs: 50 });
    assert.deepEqual(config.services, { cacheBytes: 1 << 20, hashAlgorithms: ["sha256"], databaseLimits: { maxRows: 5 } });
    assert.deepEqual(config.native, [{ path: "/base/a.node", digest: `sha256:${"0".repeat(64)}` }]);
    assert.deepEqual({ ...config.databases }, { main: { kind: "sqlite", path: "/base/a.db", maxFileBytes: 1 << 20 } });
    assert.deepEqual({ ...config.hooks }, { beforeSave: { onFailure: "open", timeoutMs: 5 } });
  });
});

describe("parseConfig against hostile texts", () => {
  const json = { format: "json" } as const;
  const levels = (depth: number): string => `{"plugins":[{"name":"a","source":"a","config":{"x":${"[".repeat(depth)}${"]".repeat(depth)}}}]}`;

  it("refuses a text of more than 1 MiB", async () => {
    assert.deepEqual(await problemsOf(`# ${"x".repeat(1 << 20)}`), ["it has more than the 1048576 bytes that it may have"]);
    assert.deepEqual(await problemsOf(`# ${"\u20ac".repeat(400_000)}`), ["it has more than the 1048576 bytes that it may have"]);
  });

  it("refuses nesting that no stack holds, however it is written", async () => {
    for (const [text, format] of [
      [`a = ${"[".repeat(200_000)}`, "toml"],
      [`a = ${"{a=".repeat(200_000)}`, "toml"],
      ["[".repeat(200_000), "json"],
      [levels(100_000), "json"],
    ] as const) {
      const [problem = ""] = await problemsOf(text, { format });
      assert.match(problem, /levels|depth|nested/, problem);
    }
    assert.match((await problemsOf(`${plugin("")}[plugins.config.${"a.".repeat(200_000)}b]`))[0] ?? "", /^4:\d+ there are more than 32 levels$/);
    assert.match((await problemsOf(`${plugin("")}config.${"a.".repeat(200_000)}b = 1`))[0] ?? "", /there are more than 32 levels$/);
    await parseConfig(levels(20), json);
  });

  it("refuses __proto__ as a key, and takes other names of objects as names", async () => {
    const refused = "is a key that nothing can be called";
    assert.deepEqual(await problemsOf(plugin("config.__proto__ = 1")), [`4:8 plugins[0].config.__proto__ ${refused}`]);
    assert.deepEqual(await problemsOf(plugin("config.a = [{ __proto__ = { x = 1 } }]")), [`4:15 plugins[0].config.a[0].__proto__ ${refused}`]);
    assert.deepEqual(await problemsOf('{"__proto__": {"plugins": []}}', json), [`1:2 __proto__ ${refused}`]);
    assert.deepEqual(await problemsOf("[databases.__proto__]\nkind = 'sqlite'\npath = 'x'"), [`1:12 databases.__proto__ ${refused}`]);
    const { plugins } = await parseConfig(
      plugin("config = { constructor = 'c', toString = 't', hasOwnProperty = 5, a = { constructor = { prototype = 1 } } }"),
    );
    assert.deepEqual(JSON.parse(JSON.stringify(plugins[0]?.config)), {
      constructor: "c",
      toString: "t",
      hasOwnProperty: 5,
      a: { constructor: { prototype: 1 } },
    });
    assert.equal(({} as { x?: unknown }).x, undefined);
  });

  it("takes tables by the names of an object's own methods", async () => {
    const config = await parseConfig(`${plugin("")}[databases.constructor]\nkind = "sqlite"\npath = "x"\n[hooks.toString]\ntimeout_ms = 5`);
    assert.deepEqual([Object.keys(config.databases), Object.keys(config.hooks)], [["constructor"], ["toString"]]);
    assert.deepEqual(await problemsOf(plugin("permissions.databases.toString = 'read'")), [
      "4:23 plugins[0].permissions.databases.toString is no database of the configuration; [databases.toString] would make it one",
    ]);
  });

  it("refuses keys that are given twice, and halves of surrogate pairs", async () => {
    assert.deepEqual(await problemsOf('{"plugins": [], "plugins": []}', json), ['1:17 the key "plugins" is given twice']);
    assert.deepEqual(await problemsOf('{"plugins": [], "\\u0070lugins": []}', json), ['1:17 the key "plugins" is given twice']);
    const config = (value: string): string => `{"plugins":[{"name":"a","source":"a","config":${value}}]}`;
    assert.deepEqual(await problemsOf(config('{"a":"\\ud800"}'), json), [
      "1:48 plugins[0].config.a holds half of a surrogate pair, which no UTF-8 can express",
    ]);
    assert.match((await problemsOf(config('{"\\udfff":1}'), json))[0] ?? "", /is a key that nothing can be called$/);
    assert.deepEqual(await problemsOf(config('{"a":9007199254740993}'), json), [
      "1:48 plugins[0].config.a is a whole number that JavaScript cannot hold exactly; write it as text",
    ]);
  });

  it("says a thousand faults in a text of the largest size without looking each of them up", async () => {
    const entries = Array.from({ length: 20_000 }, (_unused, index) => `"k${index}":{"kind":"x"}`);
    const { details } = await errorOf(parseConfig(`{"databases":{${entries.join(",")}}}`, json));
    assert.equal(details["count"], 40_000);
  });
});
