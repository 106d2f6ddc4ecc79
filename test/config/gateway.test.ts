// `[gateway]`: what it becomes, what is refused with its place, and that its defaults are those of the gateway.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, it } from "node:test";

import { BUILTINS, builtinNameOf, builtinOf } from "../../src/config/builtins.ts";
import type { Config } from "../../src/config/config.ts";
import { ATTEMPT_KEYS, GATEWAY_LIMIT_KEYS, GATE_KEYS, PROVIDER_HTTP_KEYS, PROVIDER_KEYS } from "../../src/config/gateway-keys.ts";
import { type ConfiguredGateway, toGatewayOptions } from "../../src/config/gateway-options.ts";
import type { NumberKey } from "../../src/config/number-keys.ts";
import { parseConfig } from "../../src/config/read-config.ts";
import { resolveLimits } from "../../src/gateway/options.ts";
import { resolveAttemptPolicy } from "../../src/gateway/policies/attempt-policy.ts";
import { resolveGate } from "../../src/gateway/policies/gate.ts";
import { resolveProviderOptions } from "../../src/providers/options.ts";
import { problemsOf } from "./faults.ts";

const PROVIDER = '[[gateway.providers]]\nname = "a"\nsource = "builtin:openai"\n';
const read = (text: string): Promise<Config> => parseConfig(text, { folder: "/etc/mortise" });
const options = async (text: string, env: Record<string, string> = {}): Promise<ConfiguredGateway> => toGatewayOptions(await read(text), { env });

describe("[gateway]", () => {
  it("is nothing where it is absent", async () => {
    assert.equal((await read("")).gateway, undefined);
    await assert.rejects(options(""), { code: "MORTISE_CONFIG_INVALID", message: /gateway is missing/ });
  });

  it("becomes options of createGateway, with the secrets that it names", async () => {
    const made = await options(
      `[gateway]
default_provider = "a"
on_store_failure = "open"
client_concurrency = { limit = 5 }
rates = [{ requests = 100 }]
[gateway.attempts]
retries = 0
fallback_on = ["timeout", 429]
[gateway.limits]
body_mb = 1
timeout_ms = "unlimited"
[gateway.aliases]
best = ["a/x", { to = "b/y", weight = 0 }]
[[gateway.clients]]
name = "app"
key = { env = "APP" }
rates = [{ tokens = 1000, window_ms = 1000 }]
[[gateway.clients]]
name = "other"
sha256 = "${"AB".repeat(32)}"
${PROVIDER}models = ["x", "z-*"]
only_listed = true
list_models = false
keys = [{ name = "one", key = { env = "ONE" }, weight = 2, models = ["x"] }]
key_rest = { refused_ms = 1 }
concurrency = { limit = 3, queue = 0 }
breaker = { enabled = false }
request_timeout_ms = 1000
config = { organization = "o" }
http = { max_response_kb = 1, allow_http = false }
[[gateway.providers]]
name = "b"
source = "p/b.wasm"
config = { api_key = { env = "ONE" }, base_url = "http://localhost:11434/v1" }
`,
      { APP: "key-of-app", ONE: "sk-one" },
    );
    const { providers, ...rest } = made;
    assert.deepEqual(JSON.parse(JSON.stringify({ ...rest, limits: { ...rest.limits, timeoutMs: String(rest.limits.timeoutMs) } })), {
      aliases: { best: ["a/x", { to: "b/y", weight: 0 }] },
      attempts: { retries: 0, fallbackOn: ["timeout", 429] },
      limits: { bodyBytes: 1 << 20, timeoutMs: "Infinity" },
      defaultProvider: "a",
      clients: [
        { name: "app", sha256: "ea15307d5014284174761b842f9352a857a93a3b2df3f23b69ac21d8b24ee805" },
        { name: "other", sha256: "ab".repeat(32) },
      ],
      rateLimits: { limits: [{ requests: 100 }], clients: { app: [{ tokens: 1000, windowMs: 1000 }] }, onStoreFailure: "open" },
      clientConcurrency: { limit: 5 },
      secrets: ["sk-one", "key-of-app"],
    });
    const { a, b } = providers;
    assert.deepEqual(
      [a?.models, a?.onlyListed, a?.listModels, a?.keys, a?.keyRest, a?.concurrency, a?.breaker],
      [["x", "z-*"], true, false, [{ name: "one", weight: 2, models: ["x"], value: "sk-one" }], { refusedRestMs: 1 }, { limit: 3, queue: 0 }, false],
    );
    assert.deepEqual(
      [a?.options.requestTimeoutMs, a?.options.permissions, a?.options.http],
      [1000, { hosts: ["api.openai.com"] }, { allowHttp: false, maxConcurrent: 10_000, maxResponseBytes: 1024 }],
    );
    assert.deepEqual(
      [b?.source, b !== undefined && "listModels" in b, b?.options.permissions, { ...b?.options.config }, b?.options.secrets],
      ["/etc/mortise/p/b.wasm", false, { hosts: ["localhost:11434"] }, { api_key: "sk-one", base_url: "http://localhost:11434/v1" }, ["sk-one"]],
    );
  });

  const provider = (more: string): string => PROVIDER + more;
  const client = (more: string): string => `${PROVIDER}[[gateway.clients]]\n${more}`;
  const faults: readonly (readonly [text: string, ...faults: string[]])[] = [
    [`${PROVIDER}[gateway.limits]\npending_body_mb = 15\n`, "5:1 gateway.limits.pending_body_mb is less than body_mb, so that bodies find no room"],
    ["[gateway]\nport = 8080\n", "1:2 gateway.providers is missing; it must have one provider at least"],
    [provider('list_models = "no"'), '4:1 gateway.providers[0].list_models is "no" but must be true or false'],
    [provider("port = 1"), "4:1 gateway.providers[0].port is unknown"],
    [`[gateway]\nport = 70000\n${PROVIDER}`, "2:1 gateway.port is 70000 but must be a whole number from 0 to 65535"],
    [`[gateway]\ndefault_provider = "b"\n${PROVIDER}`, '2:1 gateway.default_provider is "b", which is no provider of the configuration'],
    [PROVIDER + PROVIDER, '5:1 gateway.providers[1].name is "a", which is given twice'],
    [
      PROVIDER.replace("openai", "opnai"),
      '3:1 gateway.providers[0].source names no provider that comes with Mortise; there are builtin:openai, builtin:anthropic, builtin:google, builtin:echo; did you mean "builtin:openai"?',
    ],
    [provider("keys = []"), "4:1 gateway.providers[0].keys is empty; it must have one key at least"],
    [
      provider('keys = [{ key = "a" }]\nconfig = { api_key = "b" }'),
      "4:1 gateway.providers[0].keys stands beside api_key in config; one of them has to go",
    ],
    [provider("keys = [{ key = 5 }]"), "4:11 gateway.providers[0].keys[0].key is not text, { env = NAME } or { file = PATH }"],
    [provider('keys = [{ key = "a", weight = -1 }]'), "4:22 gateway.providers[0].keys[0].weight is -1 but must be a number from 0 to 1000000"],
    [provider("concurrency = { queue = 5 }"), "4:1 gateway.providers[0].concurrency.limit is missing; it must be a whole number from 1 to 1000000"],
    [
      provider('permissions = { hosts = ["https://x"] }'),
      '^4:26 gateway\\.providers\\[0\\]\\.permissions\\.hosts\\[0\\] is "https://x", which has a scheme, but must be a host',
    ],
    [client('name = "c"'), "4:1 gateway.clients[0] has neither key nor sha256; it must have one of them"],
    [client(`name = "c"\nkey = "k"\nsha256 = "${"a".repeat(64)}"`), "4:1 gateway.clients[0] has both key and sha256; it must have one of them"],
    [client('name = "c"\nsha256 = "abc"'), '6:1 gateway.clients[0].sha256 is "abc" but must be 64 hexadecimal digits'],
    [client('name = "c"\nkey = "k"\nrates = [{}]'), "7:10 gateway.clients[0].rates[0] has neither requests nor tokens; it must have one of them"],
    [
      `${PROVIDER}[gateway.attempts]\nfallback_on = ["never"]`,
      /^5:\d+ gateway\.attempts\.fallback_on\[0\] is "never" but must be a status from 400 to 599, or one of "invalid_request"/.source,
    ],
    [
      `[ceilings.permissions]\nhosts = ["api.example.com"]\n${PROVIDER}`,
      "3:1 gateway.providers[0].permissions.hosts[0] is more than ceilings.permissions.hosts allows",
    ],
    [
      `[ceilings.limits]\nmemory_mb = 8\n${PROVIDER}limits = { memory_mb = 16 }`,
      "6:12 gateway.providers[0].limits.memory_mb is 16, but ceilings.limits.memory_mb allows 8",
    ],
    [
      '[[plugins]]\nname = "p"\nsource = "builtin:echo"',
      /^3:1 plugins\[0\]\.source names no plugin that comes with Mortise; there are builtin:pii/.source,
    ],
  ];
  for (const [text, ...wanted] of faults)
    it(`refuses ${JSON.stringify(text.replace(PROVIDER, ""))} with its place`, async () => {
      const found = await problemsOf(text);
      assert.equal(found.length, wanted.length, found.join("\n"));
      for (const [index, each] of wanted.entries())
        if (each.startsWith("^")) assert.match(found[index] ?? "", new RegExp(each));
        else assert.equal(found[index], each);
    });

  it("refuses keys that no header can carry, and one that two clients have, without showing them", async () => {
    const clients = (...keys: string[]): string =>
      PROVIDER + keys.map((key, index) => `[[gateway.clients]]\nname = "c${index}"\nkey = ${key}\n`).join("");
    for (const [text, message] of [
      [clients('"two words"'), /line 6, column 1: gateway\.clients\[0\]\.key is no key that a client could send/],
      [clients('"same-key"', '{ env = "SAME" }'), /line 9, column 1: gateway\.clients\[1\]\.key is that of client "c0", too/],
    ] as const)
      await assert.rejects(options(text, { SAME: "same-key" }), (error: Error) => {
        assert.match(error.message, message);
        assert.doesNotMatch(JSON.stringify(error), /two words|same-key/);
        return true;
      });
  });

  it("warns of secrets in the clear", async () => {
    const { warnings } = await read(
      `${PROVIDER}keys = [{ key = "sk-1" }]\n[[gateway.clients]]\nname = "c"\nkey = "k"\n${PROVIDER.replace('"a"', '"b"')}config = { api_key = "x" }\n`,
    );
    assert.deepEqual(
      warnings.map(({ place }) => place),
      ["gateway.providers[0].keys[0].key", "gateway.providers[1].config.api_key", "gateway.clients[0].key"],
    );
  });
});

describe("Numbers of [gateway]", () => {
  const standards = (keys: Readonly<Record<string, NumberKey>>): Record<string, number> =>
    Object.fromEntries(Object.entries(keys).flatMap(([name, { standard, scale }]) => (standard === undefined ? [] : [[name, standard * scale]])));

  it("have the defaults that the gateway has", () => {
    assert.deepEqual(standards(GATEWAY_LIMIT_KEYS), { ...resolveLimits() });
    const { fallbackOn: _kinds, ...attempts } = resolveAttemptPolicy();
    assert.deepEqual(standards(ATTEMPT_KEYS), attempts);
    const { limit: _limit, ...gate } = resolveGate();
    assert.deepEqual(standards(GATE_KEYS), gate);
  });

  it("have the defaults that providers have", () => {
    const { own } = resolveProviderOptions({});
    for (const [name, standard] of Object.entries(standards(PROVIDER_KEYS))) assert.equal(own[name as keyof typeof own], standard, name);
    const http: Record<string, unknown> = { ...own.http, maxStreamBytes: own.maxStreamBytes };
    for (const name of ["maxResponseBytes", "timeoutMs", "idleTimeoutMs", "maxStreamBytes"])
      assert.equal(http[name], standards(PROVIDER_HTTP_KEYS)[name], name);
  });
});

describe("builtin:", () => {
  it("names files that are there, which are known by their names again", () => {
    for (const kind of ["provider", "plugin"] as const)
      for (const name of BUILTINS[kind]) {
        const found = builtinOf(`builtin:${name}`, kind);
        assert.ok(found !== undefined && "path" in found && existsSync(found.path), name);
        assert.equal(builtinNameOf(found.path), `builtin:${name}`);
      }
    assert.equal(builtinOf("x.wasm", "plugin"), undefined);
    assert.equal(builtinNameOf("/x.wasm"), undefined);
  });
});
