// The server for notes among the examples: everything that it says to try is tried. UPDATE_SAMPLES=1 writes what it
// prints anew.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";

import { ROOT } from "../cli/run-cli.ts";
import { startServer } from "./start-server.ts";

const SAMPLE = join(ROOT, "examples", "server.txt");
const README = join(ROOT, "README.md");
const LAST_LINE = /removes the folder\.\n/;

interface Answer {
  readonly status: number;
  readonly type: string | null;
  readonly text: string;
  readonly json: unknown;
}

/** One request. */
async function ask(url: string, init?: RequestInit): Promise<Answer> {
  const response = await fetch(url, init);
  const body = await response.text();
  const type = response.headers.get("content-type");
  return { status: response.status, type, text: body, json: type === "application/json" ? JSON.parse(body) : undefined };
}

/** Does what a printed line says, as a shell in the clone would. */
async function perform(line: string): Promise<Answer | undefined> {
  const [, from, to] = /^cp (\S+) (\S+)$/.exec(line) ?? [];
  if (from !== undefined && to !== undefined) {
    copyFileSync(join(ROOT, from), to);
    return undefined;
  }
  const [, address, body] = /^curl ([\w.:/]+)(?: -d '([^']*)')?$/.exec(line) ?? [];
  assert.ok(address !== undefined, `the test can run "${line}"`);
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  return ask(`http://${address}`, body === undefined ? {} : { method: "POST", body, headers });
}

/** Begins to send a note: settled when the server has begun to read it. */
async function beginNote(url: string): Promise<ClientRequest> {
  const sent = request(url, { method: "POST", headers: { expect: "100-continue" } });
  sent.flushHeaders();
  await once(sent, "continue");
  sent.write('{"author":"Ada",');
  return sent;
}

/** What the server prints, as the README shows it. */
const block = (shown: string): string => `\`\`\`text\n${shown.trimEnd().replace(/^\n/, "")}\n\`\`\`\n`;
const codeOf = (answer: Answer | undefined): unknown => (answer?.json as { error?: { code?: unknown } } | undefined)?.error?.code;
const digestOf = (content: string): string => createHash("sha256").update(content).digest("hex").slice(0, 12);

describe("The server for notes", () => {
  const server = startServer();
  after(() => server.child.kill("SIGKILL"));
  let printed = "";
  let folder = "";
  let url = "";
  let commands: readonly string[] = [];
  const command = (part: string): string => commands.find((line) => line.includes(part)) ?? assert.fail(`there is a line with ${part}`);

  before(async () => {
    await server.said(LAST_LINE);
    printed = server.output();
    folder = /plugins +(\S+)/.exec(printed)?.[1] ?? "";
    url = /notes +(http:\S+)\/notes/.exec(printed)?.[1] ?? "";
    commands = [...printed.matchAll(/^ {4}((?:curl|cp) .*)$/gm)].map(([, line = ""]) => line);
  });

  it("prints what to try, plainly and in 80 columns, and the README shows it", async () => {
    let shown = printed.replaceAll(folder, "/tmp/mortise-Qw3rTy");
    for (const [index, port] of [...new Set(printed.match(/(?<=127\.0\.0\.1:)\d+/g))].entries())
      shown = shown.replaceAll(port, ["40417", "38229"][index] ?? port);
    const sample = (await readFile(SAMPLE, "utf8")).replaceAll("\r\n", "\n");
    const readme = (await readFile(README, "utf8")).replaceAll("\r\n", "\n");
    if (process.env["UPDATE_SAMPLES"] === "1") {
      await writeFile(SAMPLE, shown);
      await writeFile(
        README,
        readme.replace(block(sample), () => block(shown)),
      );
    } else {
      assert.equal(shown, sample);
      assert.ok(readme.includes(block(shown)), "the README shows it");
    }
    assert.ok(!shown.includes("\u001b"));
    assert.deepEqual(
      shown.split("\n").filter((line) => line.length > 80 || line !== line.trimEnd()),
      [],
    );
  });

  it("saves a note that passes, as three plugins made it", async () => {
    const answer = await perform(command("Ada"));
    assert.deepEqual([answer?.status, answer?.json], [201, { author: "Ada", text: "call #### ###", number: 1, digest: digestOf("call #### ###") }]);
  });

  it("refuses a note that the guard refuses", async () => {
    const answer = await perform(command("Eve"));
    assert.deepEqual([answer?.status, codeOf(answer)], [403, "MORTISE_HOOK_REJECTED"]);
  });

  it("shows notes, plugins and metrics", async () => {
    const [notes, plugins, metrics] = await Promise.all(commands.filter((line) => /\/(notes|plugins|metrics)$/.test(line)).map(perform));
    assert.deepEqual(
      (notes?.json as { author: string }[] | undefined)?.map(({ author }) => author),
      ["Ada"],
    );
    assert.deepEqual(
      (plugins?.json as { name: string; hooks: string[] }[] | undefined)?.map(({ name, hooks }) => [name, hooks.join()]),
      [
        ["digest", ""],
        ["guard", "check,beforeSave"],
        ["tidy", "beforeSave"],
        ["stamp", "beforeSave"],
      ],
    );
    assert.match(metrics?.text ?? "", /^mortise_decisions_total\{plugin="guard",version="1",hook="check",action="reject"\} 1$/m);
    assert.match(metrics?.text ?? "", /^mortise_service_calls_total\{plugin="stamp",service="kv_increment"\} 1$/m);
    assert.match(metrics?.text ?? "", /^mortise_calls_total\{plugin="digest",version="1",hook=""\} 1$/m);
  });

  it("uses the next version of a plugin whose file is replaced, and says so", async () => {
    await perform(command("tidy_2"));
    await server.said(/\n {2}plugin "tidy" is version 2 now\n/);
    const answer = await perform(command("Ada"));
    assert.deepEqual(answer?.json, { author: "Ada", text: "Call #### ###.", number: 2, digest: digestOf("Call #### ###.") });
  });

  it("goes on with a plugin whose file is broken, and says why", async () => {
    await perform(command("README.md"));
    const [said] = await server.said(/\n {2}plugin "guard" goes on as it was: Cannot read[^]* magic "\\0asm"\n/);
    assert.deepEqual(
      said.split("\n").filter((line) => line.length > 80),
      [],
    );
    assert.equal((await perform(command("Eve")))?.status, 403);
    const guard = (await perform(command("/plugins/guard")))?.json as {
      version: string;
      state: string;
      lastFailure: { version: string; code: string };
    };
    assert.deepEqual([guard.version, guard.state], ["1", "ready"]);
    assert.deepEqual([guard.lastFailure.version, guard.lastFailure.code], ["2", "MORTISE_NOT_WASM"]);
  });

  const long = JSON.stringify({ author: "Ada", text: "a".repeat(16 * 1024) });
  const refusals: readonly (readonly [what: string, method: string, path: string, body: string | undefined, status: number, code: string])[] = [
    ["a path that is not there", "GET", "/", undefined, 404, "NOT_FOUND"],
    ["a path below the notes", "GET", "/notes/1", undefined, 404, "NOT_FOUND"],
    ["a plugin that is not there", "GET", "/plugins/nobody", undefined, 404, "MORTISE_UNKNOWN_PLUGIN"],
    ["another method on notes", "PUT", "/notes", "{}", 405, "METHOD_NOT_ALLOWED"],
    ["another method on plugins", "POST", "/plugins", "{}", 405, "METHOD_NOT_ALLOWED"],
    ["a body that is too long", "POST", "/notes", long, 413, "TOO_LARGE"],
    ["a body that is no JSON", "POST", "/notes", "{", 400, "NOT_A_NOTE"],
    ["a body that is no object", "POST", "/notes", "null", 400, "NOT_A_NOTE"],
    ["a note without a text", "POST", "/notes", '{"author":"Ada"}', 400, "NOT_A_NOTE"],
    ["half of a surrogate pair", "POST", "/notes", String.raw`{"author":"Ada","text":"\ud800"}`, 400, "NOT_A_NOTE"],
  ];
  for (const [what, method, path, body, status, code] of refusals) {
    it(`answers ${what} with ${code}`, async () => {
      const answer = await ask(url + path, { method, ...(body !== undefined && { body }) });
      assert.deepEqual([answer.status, answer.type, codeOf(answer)], [status, "application/json", code]);
      assert.doesNotMatch(answer.text, /\n\s+at |node:internal|\.ts:\d/);
    });
  }

  it("takes a note of the longest size, and nothing of it but author and text", async () => {
    const rest = { author: "Ada", number: 9, digest: "x" };
    const left = 16 * 1024 - JSON.stringify({ ...rest, text: "" }).length;
    const answer = await ask(`${url}/notes`, { method: "POST", body: JSON.stringify({ ...rest, text: "a".repeat(left) }) });
    const { number, digest } = answer.json as { number: number; digest: string };
    assert.deepEqual([answer.status, number, digest], [201, 3, digestOf(`A${"a".repeat(left - 1)}.`)]);
  });

  it("answers the request under way after a Ctrl-C, and ends well without its folder", async () => {
    const sent = await beginNote(`${url}/notes`);
    assert.equal(readdirSync(folder).length, 4);
    server.child.kill("SIGINT");
    await server.said(/\n {2}stopping .*\n/);
    await assert.rejects(fetch(`${url}/notes`), "nothing new is taken");
    const answered = once(sent, "response") as Promise<[IncomingMessage]>;
    sent.end('"text":"the last one"}');
    const [response] = await answered;
    const note = JSON.parse(await text(response)) as { text: string };
    assert.deepEqual([response.statusCode, response.headers.connection, note.text], [201, "close", "The last one."]);
    assert.deepEqual(await server.ended, [0, null]);
    assert.match(server.output(), /\n {2}stopped\n$/);
    assert.equal(server.errors(), "");
    assert.ok(folder !== "" && !existsSync(folder));
  });
});

describe("A server for notes that does not end well", () => {
  const temporary = mkdtempSync(join(tmpdir(), "mortise-server-test-"));
  after(() => rmSync(temporary, { recursive: true }));

  it("ends at once at the second Ctrl-C, and removes its folder", async () => {
    const server = startServer({ TMPDIR: temporary });
    const [, url = ""] = await server.said(/notes +(http:\S+)\n/);
    await server.said(LAST_LINE);
    const sent = await beginNote(url);
    sent.on("error", () => {}); // its connection ends with the server
    server.child.kill("SIGINT");
    // Until it ends: what comes at once after the first is taken for the same key.
    const again = setInterval(() => server.child.kill("SIGINT"), 50);
    const ended = await server.ended;
    clearInterval(again);
    assert.deepEqual(ended, [130, null]);
    assert.doesNotMatch(server.output(), /stopped/);
    assert.deepEqual(readdirSync(temporary), []);
  });

  for (const [name, port, message] of [
    ["PORT", "no number", /^server: .*port should be >= 0 and < 65536.*\n$/],
    ["METRICS_PORT", "70000", /^server: Cannot use option "port": it is 70000 .*\n$/],
  ] as const) {
    it(`says in one line what is wrong with ${name}`, async () => {
      const server = startServer({ TMPDIR: temporary, [name]: port });
      assert.deepEqual([await server.ended, server.output()], [[1, null], ""]);
      assert.match(server.errors(), message);
      assert.deepEqual(readdirSync(temporary), []);
    });
  }
});
