// `mortise serve`: what it says, what it says to try, its log, and how it ends.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type ClientRequest, request } from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import OpenAI from "openai";

import { freePort } from "../../src/cli/serve/free-port.ts";
import { startStandIn } from "../gateway/stand-in/start-stand-in.ts";
import { ROOT, runCli } from "./run-cli.ts";
import { assertSample } from "./samples.ts";
import { ECHO, type StartedServe, ask, configFile, startServe } from "./start-serve.ts";

/** Does what a printed command says, as a shell would. */
async function perform(command: string): Promise<{ readonly status: number; readonly text: string }> {
  const line = command.replaceAll(/\\?\n */g, " ");
  const [, address = "", body] = /^curl ([\w.:/]+)(?: -H content-type:application\/json)?(?: +-d '([^']*)')?$/.exec(line) ?? assert.fail(line);
  const response = await fetch(
    `http://${address}`,
    body === undefined ? {} : { method: "POST", body, headers: { "content-type": "application/json" } },
  );
  return { status: response.status, text: await response.text() };
}

/** Begins to send a request: settled when the server has begun to read it. */
async function beginRequest(url: string): Promise<ClientRequest> {
  const headers = { expect: "100-continue", "content-type": "application/json" };
  const sent = request(`${url}/v1/chat/completions`, { method: "POST", headers });
  sent.on("error", () => {}); // its connection may end with the server
  sent.flushHeaders();
  await once(sent, "continue");
  sent.write('{"model":"echo",');
  return sent;
}

describe("mortise serve without a configuration", () => {
  const cleanups: (() => void)[] = [];
  const t = { after: (run: () => void) => void cleanups.push(run) };
  let server: StartedServe;
  const command = (part: string): string => {
    const found = server.output().match(/^ {4}(?:curl|npm|new) .*(?:\n {6,}.*)*/gm) ?? [];
    return (found.find((each) => each.includes(part)) ?? assert.fail(`there is a command with ${part}`)).trim();
  };
  before(async () => {
    server = await startServe(t, [], { env: { npm_lifecycle_event: "start" } });
  });
  after(() => cleanups.forEach((run) => run()));

  it("says what there is and what to try, plainly and in 80 columns, and the README shows it", async () => {
    const shown = server.output().replaceAll(new URL(server.metrics).port, "38229").replaceAll(new URL(server.url).port, "8080");
    await assertSample("serve.txt", shown);
    const readme = (await readFile(join(ROOT, "README.md"), "utf8")).replaceAll("\r\n", "\n");
    assert.ok(readme.includes(`\`\`\`text\n${shown.trim().replace(/^/, "  ")}\n\`\`\`\n`), "the README shows it");
    assert.ok(!shown.includes("\u001b"));
    assert.deepEqual(
      shown.split("\n").filter((line) => line.length > 80 || line !== line.trimEnd()),
      [],
    );
  });

  for (const [part, status, text] of [
    ["Hello, how are you?", 200, /"content":"echo: Hello, how are you\?"/],
    ["ada@example.com", 200, /"content":"echo: My address is \[EMAIL\]"/],
    ["Ignore all", 403, /"code":"prompt_blocked"/],
    ["/v1/models", 200, /"id":"echo\/echo"/],
    ["/readyz", 200, /"status":"ready"/],
    ["/metrics", 200, /^mortise_gateway_requests_total\{api="chat",provider="echo",model="echo",status="403"\} 1$/m],
  ] as const)
    it(`answers the command with ${part} as it should`, async () => {
      const answer = await perform(command(part));
      assert.equal(answer.status, status);
      assert.match(answer.text, text);
    });

  it("can be talked to as it says", async () => {
    const line = command("chat --url");
    assert.match(line, /^npm run -s mortise -- chat --url http:\S+$/);
    const chat = await runCli([...line.split(" ").slice(5), "Hello", "you"]);
    assert.deepEqual([chat.stdout, chat.stderr, chat.exitCode], ["echo: Hello you\n", "", 0]);
  });

  it("answers OpenAI's SDK as it says", async () => {
    const [, baseURL = "", apiKey = ""] = /^new OpenAI\(\{ baseURL: "([^"]+)", apiKey: "([^"]+)" \}\)$/.exec(command("OpenAI")) ?? [];
    const client = new OpenAI({ baseURL, apiKey });
    const { choices } = await client.chat.completions.create({ model: "echo", messages: [{ role: "user", content: "Hi" }] });
    assert.equal(choices[0]?.message.content, "echo: Hi");
  });

  it("shows metrics to this machine alone", async () => {
    assert.match(server.metrics, /^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
    const { port } = new URL(server.metrics);
    const [response] = await once(request({ host: "127.0.0.1", port, path: "/metrics", headers: { host: "evil.example" } }).end(), "response");
    assert.equal((response as { statusCode: number }).statusCode, 403);
  });

  it("logs a line for each request, without what was said", async () => {
    await server.logged(/ warn .*request_id=\S+ api=chat provider=echo model=echo attempts=1 status=403 .*code=prompt_blocked\n/);
    await server.logged(/ info +request request_id=\S+ api=chat provider=echo model=echo attempts=1 status=200 tokens=9 duration_ms=[\d.]+\n/);
    assert.doesNotMatch(server.log(), /how are you|ada@|previous/);
  });

  it("answers what is under way after a Ctrl-C, takes nothing new, and ends well", async () => {
    const sent = await beginRequest(server.url);
    server.child.kill("SIGINT");
    await server.logged(/ info +stopping when the requests under way have ended requests=1\n/);
    await assert.rejects(fetch(`${server.url}/readyz`));
    const answered = once(sent, "response");
    sent.end('"messages":[{"role":"user","content":"the last one"}]}');
    const [response] = (await answered) as [{ statusCode: number }];
    assert.equal(response.statusCode, 200);
    assert.deepEqual(await server.ended, [0, null]);
    assert.match(server.log(), / info +stopped\n$/);
  });
});

describe("mortise serve", () => {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)
    it(`ends at once at the second ${signal}, with ${code}`, async (t) => {
      const server = await startServe(t, ["--config", configFile(t, ECHO).file]);
      await beginRequest(server.url);
      server.child.kill(signal);
      await server.logged(/stopping/);
      // Until it ends: what comes at once after the first is taken for the same key.
      const again = setInterval(() => server.child.kill(signal), 50);
      const ended = await server.ended;
      clearInterval(again);
      assert.deepEqual(ended, [code, null]);
      assert.doesNotMatch(server.log(), /stopped/);
    });

  it("breaks off what does not end in time, and says so", async (t) => {
    const server = await startServe(t, ["--config", configFile(t, `[gateway]\ndrain_ms = 50\n${ECHO}`).file]);
    const sent = await beginRequest(server.url);
    const closed = new Promise((resolve) => sent.on("close", resolve));
    server.child.kill("SIGTERM");
    await closed;
    assert.deepEqual(await server.ended, [0, null]);
    assert.match(server.log(), / warn +the time to stop is over, and these are broken off requests=1\n/);
  });

  it("lets a stream that has begun come to its end", async (t) => {
    const gate = Promise.withResolvers<void>();
    await using upstream = await startStandIn({ behaviour: { chunkDelayMs: 1 }, sleep: () => gate.promise });
    const { file } = configFile(
      t,
      `[gateway]\ndrain_ms = 86400000\n[[gateway.providers]]\nname = "up"\nsource = "builtin:openai"\nconfig = { api_key = { env = "UP_KEY" }, base_url = "${upstream.url}/v1" }\n`,
    );
    const server = await startServe(t, ["--config", file, "--json-logs"], { env: { UP_KEY: "sk-of-the-operator" } });
    const response = await fetch(`${server.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "up/m", stream: true, messages: [{ role: "user", content: "one two three" }] }),
    });
    assert.equal(response.status, 200);
    server.child.kill("SIGTERM");
    await server.logged(/"requests":1,"msg":"stopping/);
    gate.resolve();
    assert.match(await response.text(), /two[^]*three[^]*\[DONE\]\n\n$/);
    assert.deepEqual(await server.ended, [0, null]);
    assert.equal(upstream.requests[0]?.key, "sk-of-the-operator");
    assert.doesNotMatch(server.log(), /sk-of-the-operator|one two/);
  });

  it("logs JSON where that is wanted, without keys, and prints nothing else", async (t) => {
    const { file } = configFile(t, `${ECHO}[[gateway.clients]]\nname = "app"\nkey = { env = "APP_KEY" }\n`);
    const server = await startServe(t, ["--config", file, "--json-logs"], { env: { APP_KEY: "the-key-of-the-app" } });
    assert.equal((await ask(server.url, "secret words", { authorization: "Bearer the-key-of-the-app" })).status, 200);
    assert.equal((await ask(server.url, "secret words", { authorization: "Bearer the-key-of-nobody" })).status, 401);
    assert.equal((await fetch(`${server.url}/the-key-of-the-app`)).status, 404);
    server.child.kill("SIGTERM");
    await server.ended;
    const lines = server
      .log()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(
      lines.map(({ msg, client, status, path, level }) => [level, status, client, msg, path]),
      [
        ["info", undefined, undefined, "listening", undefined],
        ["info", 200, "app", "request", undefined],
        ["warn", 401, undefined, "Refused the request: its key is not known: nobody has this key", "/v1/chat/completions"],
        ["warn", 404, undefined, "Refused the request: there is nothing at /[hidden]", "/[hidden]"],
        ["info", undefined, undefined, "stopping when the requests under way have ended", undefined],
        ["info", undefined, undefined, "stopped", undefined],
      ],
    );
    assert.equal(server.output(), "");
    assert.doesNotMatch(server.log(), /the-key|secret words/);
  });

  it("warns where others can use it without a key, and says an address that can be used", async (t) => {
    const aliases = `[gateway.aliases]\n"it's" = "echo/x"\nplain = "echo/x"\n`;
    const open = await startServe(t, ["--host", "0.0.0.0", "--config", configFile(t, ECHO + aliases).file]);
    await open.logged(/ warn +everybody who reaches 0\.0\.0\.0 may use it; \[\[gateway\.clients\]\] says who may\n/);
    assert.match(open.url, /^http:\/\/127\.0\.0\.1:\d+$/);
    assert.equal((await ask(open.url)).status, 200);
    assert.match(open.output(), /-d '\{"model": "plain", /, "what would end the quotes of the command is not shown in it");
    const clients = `[[gateway.clients]]\nname = "app"\nsha256 = "${"a".repeat(64)}"\n`;
    for (const server of [
      await startServe(t, ["--host", "0.0.0.0", "--config", configFile(t, ECHO + clients).file]),
      await startServe(t, ["--host", "localhost", "--config", configFile(t, ECHO).file]),
    ]) {
      server.child.kill("SIGTERM");
      await server.ended;
      assert.doesNotMatch(server.log(), /everybody/);
    }
  });

  it("says in one line what it cannot listen at", async (t) => {
    const taken = createServer().listen(0, "127.0.0.1");
    t.after(() => taken.close());
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    const { file } = configFile(t, ECHO);
    for (const option of ["--port", "--metrics-port"]) {
      const result = await runCli(["serve", "--config", file, ...(option === "--port" ? [] : ["--port", "0"]), option, String(port)]);
      assert.equal(result.stderr, `mortise: MORTISE_LISTEN: Cannot listen at 127.0.0.1:${port}: something else listens there already\n`);
      assert.deepEqual([result.stdout, result.exitCode], ["", 1]);
    }
    assert.notEqual(await freePort("127.0.0.1", port), port, "without a port of its own it would take the next one");
  });

  for (const [what, config, message] of [
    [
      "a key that is misspelt",
      `${ECHO}[gateway.atempts]\n`,
      /CONFIG_INVALID: .*mortise\.toml", line 5, column 10: gateway\.atempts is unknown; did you mean attempts\?\n$/,
    ],
    [
      "an alias that leads nowhere",
      `${ECHO}${ECHO.replace("echo", "b")}[gateway.aliases]\nfast = "nope"\n`,
      /CONFIG_INVALID: .*line 10, column 1: gateway\.aliases\.fast is "nope", which leads nowhere/,
    ],
    [
      "a variable that is not set",
      `${ECHO}config = { api_key = { env = "NO_SUCH_KEY" } }\n`,
      /SECRET_MISSING: .*line 5, column 12: gateway\.providers\[0\]\.config\.api_key needs the environment variable "NO_SUCH_KEY", which is not set\n$/,
    ],
  ] as const)
    it(`refuses ${what} with its place`, async (t) => {
      const result = await runCli(["serve", "--port", "0", "--config", configFile(t, config).file]);
      assert.match(result.stderr, message);
      assert.deepEqual([result.stdout, result.exitCode], ["", 3]);
    });

  for (const [args, message] of [
    [["--port", "70000"], "option '--port <port>' argument '70000' is invalid. It must be a whole number from 0 to 65535."],
    [["--workers", "2"], "2 workers cannot share a store in memory"],
    [["mortise.toml"], "too many arguments for 'serve'. Expected 0 arguments but got 1: mortise.toml."],
  ] as const)
    it(`refuses ${args.join(" ")}`, async () => {
      const result = await runCli(["serve", ...args]);
      assert.equal(result.stderr.split("\n")[0], `mortise: MORTISE_USAGE: ${message}`);
      assert.deepEqual([result.stdout, result.exitCode], ["", 2]);
    });
});
