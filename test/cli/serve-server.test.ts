// The server of `mortise serve` in this process: what it refuses, and what of a configuration counts at once.

import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { join } from "node:path";
import { describe, it } from "node:test";

import { ConfiguredProviders, type PreparedProviders } from "../../src/cli/serve/configured-providers.ts";
import { checkRoutes } from "../../src/cli/serve/gateway-faults.ts";
import { openLog } from "../../src/cli/serve/log.ts";
import { type RunningServer, startServer } from "../../src/cli/serve/server.ts";
import { EMBEDDED } from "../../src/cli/serve/settings.ts";
import { type ConfiguredGateway, toGatewayOptions } from "../../src/config/gateway-options.ts";
import { parseConfig } from "../../src/config/read-config.ts";
import { codeBlocks, readPage } from "../docs/pages.ts";
import { startStandIn } from "../gateway/stand-in/start-stand-in.ts";
import { ROOT } from "./run-cli.ts";
import { ECHO } from "./start-serve.ts";

async function start(text: string): Promise<RunningServer> {
  return startServer({ config: await parseConfig(text), files: new Map(), log: await openLog({ level: "off" }), listen: undefined });
}

/** Status of a request that needs no socket. */
async function ask(server: RunningServer, model = "echo", headers: Readonly<Record<string, string>> = {}): Promise<number> {
  const body = JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }] });
  const request = new Request("http://localhost/v1/chat/completions", {
    method: "POST",
    body,
    headers: { "content-type": "application/json", ...headers },
  });
  return (await server.gateway.inject(request)).status;
}

describe("startServer()", () => {
  for (const [what, config, code, message] of [
    ["no gateway", "", "MORTISE_CONFIG_INVALID", /gateway is missing; \[\[gateway\.providers\]\] names who answers$/],
    ["a plugin that is not there", `${ECHO}[[plugins]]\nname = "p"\nsource = "none.wasm"\n`, "MORTISE_SOURCE_NOT_FOUND", /none\.wasm/],
    ["a provider that is none", ECHO.replace("builtin:echo", "package.json"), "MORTISE_MANIFEST_INVALID", /package\.json/],
    [
      "a hook that it does not have",
      `${ECHO}[hooks.lmm]\non_failure = "open"\n`,
      "MORTISE_CONFIG_INVALID",
      /line 5, .*hooks\.lmm is no hook of the host; did you mean "llm"\?$/,
    ],
    [
      "two clients with one key",
      `${ECHO}[[gateway.clients]]\nname = "a"\nkey = "same"\n[[gateway.clients]]\nname = "b"\nkey = "same"\n`,
      "MORTISE_CONFIG_INVALID",
      /line 10, .*clients\[1\]\.key is that of client "a", too$/,
    ],
    [
      "a key that no header can carry",
      `${ECHO}[[gateway.clients]]\nname = "a"\nkey = "two words"\n`,
      "MORTISE_CONFIG_INVALID",
      /clients\[0\]\.key is no key that a client could send/,
    ],
    [
      "a model without a name",
      ECHO.replace('"echo"]', '"*", "echo"]\nkeys = [{ key = "ö" }]'),
      "MORTISE_CONFIG_INVALID",
      /line 5, .*gateway\.providers\[0\]\.keys\[0\]\.key is something else but must be printable ASCII/,
    ],
    [
      "a configuration that a plugin refuses",
      `${ECHO}[[plugins]]\nname = "g"\nsource = "builtin:guard"\nconfig = { dney = ["x"] }\n`,
      "MORTISE_CONFIG_INVALID",
      /line 8, .*plugins\[0\]\.config is refused by the plugin, .*docs\/gateway-plugins\.md says what it takes$/,
    ],
    [
      "no configuration, where a plugin wants one",
      `${ECHO}[[plugins]]\nname = "g"\nsource = "builtin:budget"\n`,
      "MORTISE_CONFIG_INVALID",
      /line 5, .*plugins\[0\] is refused by the plugin/,
    ],
    [
      "a provider among the plugins",
      `${ECHO}[[plugins]]\nname = "g"\nsource = "${join(ROOT, "guests/prebuilt/provider_echo.c.wasm").replaceAll("\\", "/")}"\n`,
      "MORTISE_CONFIG_INVALID",
      /line 7, .*plugins\[0\]\.source is a provider of models, which belongs to \[\[gateway\.providers\]\]$/,
    ],
    [
      "a plugin among the providers",
      ECHO.replace("builtin:echo", join(ROOT, "guests/prebuilt/gateway_guard.c.wasm").replaceAll("\\", "/")),
      "MORTISE_CONFIG_INVALID",
      /line 3, .*gateway\.providers\[0\]\.source is no provider: it exports neither/,
    ],
    [
      "a configuration that a provider refuses",
      `${ECHO.replace("builtin:echo", "builtin:openai")}config = { max_tokens = -1 }\n`,
      "MORTISE_CONFIG_INVALID",
      /line 5, .*gateway\.providers\[0\]\.config is refused by the provider: invalid_request: "max_tokens" of the configuration must be a whole number/,
    ],
  ] as const)
    it(`refuses ${what}`, async () => {
      await assert.rejects(start(config), { code, message });
    });

  it("says what may have been overlooked, with its place, also of what a reload brings", async () => {
    const lines: string[] = [];
    const log = { ...(await openLog({ level: "off" })), warn: (line: unknown) => void lines.push(String(line)) };
    const provider = (name: string, more: string): string => `[[gateway.providers]]\nname = "${name}"\nsource = "builtin:openai"\n${more}`;
    const read = (text: string) => parseConfig(text);
    const config = await read(ECHO + provider("a", "") + provider("b", 'config = { base_url = "http://localhost:1/v1", modle = "m" }\n'));
    const server = await startServer({ config, files: new Map(), log, listen: undefined });
    assert.deepEqual(lines.splice(0), [
      'the configuration, line 5, column 1: gateway.providers[1] has no key; config = { api_key = { env = "NAME" } } gives it one',
      'the configuration, line 11, column 48: gateway.providers[2].config.modle is no setting of this provider, and is left out; did you mean "model"?',
    ]);
    const hosts = 'config = { base_url = "http://localhost:1/v1" }\npermissions.hosts = ["localhost:2"]\n';
    const plugin = (name: string, more: string): string =>
      `[[plugins]]\nname = "${name}"\nsource = "${join(ROOT, "guests/prebuilt/echo.c.wasm").replaceAll("\\", "/")}"\n${more}`;
    const next = ECHO + provider("b", hosts) + plugin("idle", 'permissions.call = ["called:echo"]\n') + plugin("called", "");
    await server.reload(await read(next), new Map(), false);
    assert.deepEqual(lines, [
      "the configuration, line 9, column 13: gateway.providers[1].permissions.hosts does not have localhost:1: requests to it will be denied",
      "the configuration, line 10, column 1: plugins[0] takes part in nothing: it has none of the functions that the gateway calls",
    ]);
    await server.close(0);
  });

  it("asks those providers for their models that have a key, unless list_models says otherwise", async () => {
    await using upstream = await startStandIn({ models: ["m"] });
    const provider = (name: string, more: string): string =>
      `[[gateway.providers]]\nname = "${name}"\nsource = "builtin:openai"\nconfig.base_url = "${upstream.url}/v1"\n${more}\n`;
    const server = await start(
      provider("keyless", "") +
        provider("asked", "list_models = true") +
        provider("keyed", 'config.api_key = "k1"') +
        provider("ringed", 'keys = [{ key = "k2" }]') +
        provider("silent", 'config.api_key = "k3"\nlist_models = false') +
        ECHO,
    );
    const response = await server.gateway.inject(new Request("http://localhost/v1/models"));
    const { data } = (await response.json()) as { data: { id: string }[] };
    assert.deepEqual(
      data.map(({ id }) => id),
      ["echo/echo", "asked/m", "keyed/m", "ringed/m"],
    );
    assert.deepEqual(upstream.requests.map(({ key }) => key).toSorted(), ["", "k1", "k2"]);
    await server.close(0);
  });

  it("serves what is built in", async () => {
    const server = await start(EMBEDDED);
    assert.equal(await ask(server), 200);
    assert.deepEqual(
      server.gateway.host.plugins.list().map(({ name, hooks }) => [name, hooks.join()]),
      [
        ["budget", "llm,used"],
        ["guard", "llm"],
        ["pii", "llm"],
      ],
    );
    await server.close(0);
  });
});

describe("reload()", () => {
  const reload = async (server: RunningServer, text: string): Promise<unknown> => {
    const { loaded, replaced, unloaded, later } = await server.reload(await parseConfig(text), new Map(), false);
    return { loaded, replaced, unloaded, later };
  };
  const guard = (config: string): string => `[[plugins]]\nname = "guard"\nsource = "builtin:guard"\n${config}`;
  const nothing = { loaded: [], replaced: [], unloaded: [], later: [] };

  it("takes over aliases, clients and rates at once", async () => {
    const client = (key: string): string => `[[gateway.clients]]\nname = "app"\nkey = "${key}"\n`;
    const server = await start(ECHO + client("first"));
    assert.equal(await ask(server, "echo", { "x-api-key": "first" }), 200);
    assert.deepEqual(await reload(server, `${ECHO + client("second")}[gateway.aliases]\nfast = "echo/x"\n`), nothing);
    assert.equal(await ask(server, "fast", { "x-api-key": "first" }), 401);
    assert.equal(await ask(server, "fast", { "x-api-key": "second" }), 200);
    assert.deepEqual(await reload(server, `${ECHO + client("second")}rates = [{ requests = 1 }]\n`), nothing);
    assert.deepEqual([await ask(server, "echo", { "x-api-key": "second" }), await ask(server, "echo", { "x-api-key": "second" })], [200, 429]);
    assert.deepEqual(await reload(server, ECHO + client("second")), nothing);
    assert.equal(await ask(server, "echo", { "x-api-key": "second" }), 200);
    await server.close(0);
  });

  it("keeps what is the same loaded, replaces what is not, and takes out what is gone", async () => {
    const server = await start(ECHO + guard(""));
    const plugin = server.gateway.host.plugins.get("guard");
    assert.deepEqual(await reload(server, ECHO + guard("")), nothing);
    assert.equal(server.gateway.host.plugins.get("guard"), plugin);
    const changed = `${ECHO + guard('config = { builtin = false, deny = ["hello"] }')}\n`;
    const pii = '[[plugins]]\nname = "pii"\nsource = "builtin:pii"\npermissions.attributes = { read = ["pii.*"], write = ["pii.*"] }\n';
    assert.deepEqual(await reload(server, changed + pii), { ...nothing, loaded: ["pii"], replaced: ["guard"] });
    assert.equal(await ask(server), 403);
    assert.deepEqual(await reload(server, ECHO), { ...nothing, unloaded: ["pii", "guard"] });
    assert.equal(await ask(server), 200);
    await server.close(0);
  });

  it("changes nothing if anything cannot be used, whichever comes last", async () => {
    const server = await start(ECHO + guard(""));
    const plugin = server.gateway.host.plugins.get("guard");
    const changed = ECHO + guard("config = { builtin = false }\n");
    for (const [text, code] of [
      [`${changed}[[plugins]]\nname = "p"\nsource = "none.wasm"\n`, "MORTISE_SOURCE_NOT_FOUND"],
      [`${changed}[gateway.aliases]\nloop = "loop"\n`, "MORTISE_CONFIG_INVALID"],
      [changed.replace("builtin:echo", "package.json"), "MORTISE_MANIFEST_INVALID"],
      [guard(""), "MORTISE_CONFIG_INVALID"],
    ] as const) {
      await assert.rejects(reload(server, text), { code });
      assert.equal(server.gateway.host.plugins.get("guard"), plugin, text);
      assert.equal(server.gateway.host.plugins.describe("guard").versions.length, 1, text);
      assert.deepEqual(
        server.gateway.host.plugins.list().map(({ name }) => name),
        ["guard"],
        text,
      );
      assert.equal(await ask(server), 200, text);
    }
    await server.close(0);
  });

  it("hides the secrets of requests that were begun before it, until they have ended", async () => {
    const [begun, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const sleep = (): Promise<void> => {
      begun.resolve();
      return released.promise;
    };
    await using standIn = await startStandIn({ behaviour: { latencyMs: 1 }, sleep });
    const settings = (key: string): string => `[[gateway.providers]]
name = "oai"
source = "builtin:openai"
models = ["m"]
permissions.hosts = ["${new URL(standIn.url).host}"]
keys = [{ key = "${key}" }]
config = { base_url = "${standIn.url}/v1" }
`;
    const hidden: (readonly string[])[] = [];
    const changed = new EventEmitter();
    const hide = (secrets: readonly string[]): void => {
      hidden.push(secrets);
      changed.emit("change");
    };
    const log = { ...(await openLog({ level: "off" })), hide };
    const server = await startServer({ config: await parseConfig(settings("sk-old-00000")), files: new Map(), log, listen: undefined });
    const asked = ask(server, "m");
    await begun.promise;
    await reload(server, settings("sk-new-00000"));
    assert.deepEqual(hidden.at(-1), ["sk-old-00000", "sk-new-00000"]);
    const settled = once(changed, "change");
    released.resolve();
    assert.equal(await asked, 200);
    await settled;
    assert.deepEqual(hidden.at(-1), ["sk-new-00000"]);
    await server.close(0);
  });

  it("says what counts from the next start only", async () => {
    const server = await start(ECHO);
    const other = `[store]\nkind = "memory"\nmax_mb = 1\n[gateway]\nport = 1\nmetrics_port = 2\n[gateway.limits]\nrequests = 1\n${ECHO}`;
    assert.deepEqual(await reload(server, other), { ...nothing, later: ["gateway.port", "gateway.metrics_port", "gateway.limits", "store"] });
    assert.deepEqual(await reload(server, ECHO), nothing);
    await server.close(0);
  });
});

describe("ConfiguredProviders", () => {
  const source = join(ROOT, "guests", "prebuilt", "provider_echo.c.wasm");
  const quiet = (): void => {};
  const logger = { trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet };
  const loaded = (prepared: PreparedProviders): unknown => (prepared.providers["a"] as { provider: unknown }).provider;

  it("keeps a provider that is the same, and closes one that is not", async () => {
    await using providers = new ConfiguredProviders(logger);
    const wanted = async (more: string): Promise<ConfiguredGateway["providers"]> =>
      (await toGatewayOptions(await parseConfig(`[[gateway.providers]]\nname = "a"\nsource = "${source}"\n${more}`), { env: {} })).providers;
    const first = await providers.prepare(await wanted(""), new Map([[source, "1"]]), false);
    await first.commit()();
    const policy = await providers.prepare(await wanted('models = ["x"]'), new Map([[source, "1"]]), true);
    assert.equal(loaded(policy), loaded(first), "who lists which models is no reason to load it anew");
    assert.deepEqual(policy.providers["a"]?.models, ["x"]);
    await policy.commit()();
    for (const [more, digest, all] of [
      ["", "2", false],
      ["log_level = 'warn'", "1", false],
      ["", undefined, true],
    ] as const) {
      const next = await providers.prepare(await wanted(more), new Map([[source, digest]]), all);
      assert.notEqual(loaded(next), loaded(first), more);
      await next.abandon();
    }
    const last = await providers.prepare(await wanted(""), new Map([[source, "2"]]), false);
    const before = loaded(first) as { chat(request: unknown): Promise<unknown> };
    const askBefore = (): Promise<unknown> => before.chat({ messages: [{ role: "User", content: [{ type: "text", text: "x" }] }] });
    const closeOld = last.commit();
    assert.ok(await askBefore(), "requests under way still have it");
    await closeOld();
    await assert.rejects(askBefore());
  });
});

describe("docs/providers.md", () => {
  it("shows a provider that is asked for its models", async () => {
    const example = codeBlocks(readPage("docs/providers.md")).find(({ info }) => info === "toml");
    const { providers } = await toGatewayOptions(await parseConfig(example?.body ?? ""), { env: {} });
    assert.deepEqual([providers["local"]?.listModels, providers["local"]?.options.permissions.hosts], [true, ["localhost:11434"]]);
  });
});

describe("docs/gateway-operations.md", () => {
  const page = readPage("docs/gateway-operations.md");
  const [embedded, example] = codeBlocks(page).filter(({ info }) => info === "toml");

  it("shows what is built in", () => {
    assert.equal(embedded?.body, EMBEDDED);
  });

  it("shows a configuration that is right", async () => {
    const config = await parseConfig(example?.body ?? "");
    checkRoutes(config);
    assert.deepEqual(config.warnings, []);
    const env = Object.fromEntries(["WEB_KEY", "OPENAI_KEY_A", "OPENAI_KEY_B", "ANTHROPIC_KEY"].map((name) => [name, `value-of-${name}`]));
    const { providers } = await toGatewayOptions(config, { env });
    assert.deepEqual(
      Object.values(providers).map(({ options }) => options.permissions.hosts.join()),
      ["api.openai.com", "api.anthropic.com", "localhost:11434"],
    );
  });

  it("names the metrics that there are, and the fields of lines", async () => {
    const lines: object[] = [];
    const log = { ...(await openLog({ level: "off" })), info: (first: object | string) => void (typeof first === "object" && lines.push(first)) };
    const server = await startServer({ config: await parseConfig(ECHO), files: new Map(), log, listen: undefined });
    assert.equal(await ask(server), 200);
    const metrics = [...server.prometheus().matchAll(/^# TYPE (mortise_gateway_\w+)/gm)].map(([, name = ""]) => name);
    const named = new Set(Array.from(page.text.matchAll(/^\| `(mortise_gateway_\w+)`/gm), ([, name = ""]) => name));
    assert.deepEqual(
      metrics.filter((name) => !named.has(name)),
      [],
    );
    for (const field of Object.keys(lines.at(-1) ?? {})) assert.ok(page.text.includes(`\`${field}\``), field);
    await server.close(0);
  });
});
