// The server of `mortise serve` in this process: what it refuses, and what of a configuration counts at once.

import assert from "node:assert/strict";
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
  ] as const)
    it(`refuses ${what}`, async () => {
      await assert.rejects(start(config), { code, message });
    });

  it("serves what is built in", async () => {
    const server = await start(EMBEDDED);
    assert.equal(await ask(server), 200);
    assert.deepEqual(
      server.gateway.host.plugins.list().map(({ name, hooks }) => [name, hooks.join()]),
      [
        ["budget", "llm,completed"],
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
