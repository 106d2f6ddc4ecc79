// `mortise chat`: one question, and a talk.

import assert from "node:assert/strict";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";

import { startStandIn } from "../gateway/stand-in/start-stand-in.ts";
import { ended, runCli, startCli } from "./run-cli.ts";
import { ECHO, configFile } from "./start-serve.ts";

/** Waits until a process has printed something. */
function watch(child: ChildProcessWithoutNullStreams): { readonly output: () => string; readonly printed: (pattern: RegExp) => Promise<void> } {
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  return {
    output: () => output,
    printed: async (pattern) => {
      while (!pattern.test(output)) await once(child.stdout, "data");
    },
  };
}

/** A stand-in whose streams stop after the first piece until they are let go on. */
async function slowServer(): Promise<{ readonly url: string; readonly goOn: () => void } & AsyncDisposable> {
  const gate = Promise.withResolvers<void>();
  let writes = 0;
  const standIn = await startStandIn({ behaviour: { chunkDelayMs: 1 }, sleep: () => (++writes > 1 ? gate.promise : Promise.resolve()) });
  return { url: standIn.url, goOn: gate.resolve, [Symbol.asyncDispose]: () => standIn.close() };
}

describe("mortise chat", () => {
  it("asks the gateway that is built in, once, and prints the answer alone", async () => {
    const result = await runCli(["chat", "Hello", "you"]);
    assert.deepEqual([result.stdout, result.stderr, result.exitCode], ["echo: Hello you\n", "", 0]);
  });

  it("asks what comes through a pipe, behind the words where - stands, and sends a system prompt and a key", async () => {
    await using server = await startStandIn({ requireKey: true });
    const run = { stdin: "first line\nsecond line\n", env: { CHAT_KEY: "the-key" } };
    const args = ["chat", "--url", server.url, "--key-env", "CHAT_KEY"];
    const piped = await runCli(args, run);
    assert.deepEqual([piped.stdout, piped.stderr, piped.exitCode], ["first line\nsecond line\n", "", 0]);
    const both = await runCli([...args, "--system", "Be brief", "--model", "m", "Sum up:", "-"], run);
    assert.equal(both.stdout, "Sum up:\n\nfirst line\nsecond line\n");
    const last = server.requests.at(-1);
    assert.deepEqual(last?.json, {
      model: "m",
      stream: true,
      messages: [
        { role: "system", content: "Be brief" },
        { role: "user", content: "Sum up:\n\nfirst line\nsecond line" },
      ],
    });
    assert.equal(last?.key, "the-key");
  });

  it("makes readable what would act on a terminal, also where it is cut", async () => {
    for (const split of [1, undefined]) {
      await using server = await startStandIn({ behaviour: { text: "\u001b[31mred\u202e \u{1f332} a\tb\r\nc", ...(split && { split }) } });
      const result = await runCli(["chat", "--url", `${server.url}/v1/`, "x"]);
      assert.equal(result.stdout, "\\u{1b}[31mred\\u{202e} \u{1f332} a\tb\nc\n");
    }
  });

  it("uses a configuration, whose clients' keys it does not need", async (t) => {
    const { file } = configFile(t, `[[gateway.clients]]\nname = "app"\nkey = "a-key"\n${ECHO}`);
    const result = await runCli(["chat", "--config", file, "--model", "echo/other", "Hello"]);
    assert.deepEqual([result.stdout, result.stderr, result.exitCode], ["echo: Hello\n", "", 0]);
  });

  it("says what a configuration may lack", async (t) => {
    const { file } = configFile(t, '[[gateway.providers]]\nname = "o"\nsource = "builtin:openai"\n');
    const result = await runCli(["chat", "--config", file, "--model", "o/m", "Hello"]);
    const [note, failure] = result.stderr.split("\n");
    assert.match(note ?? "", /^mortise: note: ".*mortise\.toml", line 1, column 1: gateway\.providers\[0\] has no key; config = /);
    assert.match(failure ?? "", /^mortise: MORTISE_NO_ANSWER: Cannot get an answer from .*mortise\.toml: /);
    assert.equal(result.exitCode, 1);
  });

  it("prints what came and fails, if an answer breaks off", async () => {
    for (const [fault, reason] of [
      ["drop_mid_body", "the connection broke off"],
      ["no_end", "the answer broke off"],
      ["error_in_stream", ".+"],
      [500, ".+ \\(status 500\\)"],
      ["wrong_content_type", "the answer is text/html, and no stream"],
    ] as const) {
      await using server = await startStandIn({ behaviour: { fault } });
      const result = await runCli(["chat", "--url", server.url, "--model", "m", "one two three four"]);
      assert.match(
        result.stderr,
        new RegExp(`^mortise: MORTISE_NO_ANSWER: Cannot get an answer from ${server.url}/v1: ${reason}\\n$`),
        String(fault),
      );
      assert.equal(result.exitCode, 1);
      assert.equal(result.stdout.startsWith("one "), ["drop_mid_body", "no_end", "error_in_stream"].includes(String(fault)), String(fault));
    }
  });

  it("stops at Ctrl-C with 130", async () => {
    await using server = await slowServer();
    const child = startCli(["chat", "--url", server.url, "--model", "m", "one two three"]);
    const { printed, output } = watch(child);
    await printed(/one/);
    child.kill("SIGINT");
    assert.deepEqual(await ended(child), [130, null]);
    assert.match(output(), /^one\n$/);
  });

  for (const [args, message, code] of [
    [["--url", "ftp://x"], 'MORTISE_USAGE: "ftp://x" is no URL of http: or https:', 2],
    [["--url", "http://u:secret@x"], "MORTISE_USAGE: a URL must not have a user name or password", 2],
    [["--url", "http://x", "--key-env", "NO_SUCH_KEY"], 'MORTISE_USAGE: the environment variable "NO_SUCH_KEY" is not set', 2],
    [["--key-env", "PATH"], "MORTISE_USAGE: --key-env is for --url; a configuration names its own keys", 2],
    [["--url", "http://x", "--config", "y"], "MORTISE_USAGE: --config and --url exclude each other", 2],
    [["--config", "none.toml"], 'MORTISE_SOURCE_NOT_FOUND: Cannot read "none.toml": the file does not exist', 3],
  ] as const)
    it(`refuses ${args.join(" ")}`, async () => {
      const result = await runCli(["chat", ...args, "Hello"]);
      assert.equal(result.stderr.split("\n")[0], `mortise: ${message}`);
      assert.deepEqual([result.stdout, result.exitCode], ["", code]);
    });

  it("knows what may have been meant where it cannot ask", async () => {
    const nobody = createServer().listen(0, "127.0.0.1");
    await once(nobody, "listening");
    const { port } = nobody.address() as { port: number };
    nobody.close();
    const gone = await runCli(["chat", "--url", `http://127.0.0.1:${port}`, "--model", "m", "Hello"]);
    assert.deepEqual(gone.stderr.split("\n"), [
      `mortise: MORTISE_NO_ANSWER: Cannot get an answer from http://127.0.0.1:${port}/v1: nothing listens there`,
      "  hint: mortise serve starts a gateway; without --url, mortise chat is one itself",
      "",
    ]);
    assert.equal(gone.exitCode, 1);
    await using server = await startStandIn({ requireKey: true });
    const keyless = await runCli(["chat", "--url", server.url, "--model", "m", "Hello"]);
    assert.match(keyless.stderr, /\(status 401\)\n {2}hint: --key-env names a variable with a key\n$/);
    const ftp = await runCli(["chat", "--url", "ftp://x", "Hello"]);
    assert.equal(ftp.stderr, 'mortise: MORTISE_USAGE: "ftp://x" is no URL of http: or https:\n');
    const bare = await runCli(["chat", "--url", "localhost:8080", "Hello"]);
    assert.equal(bare.stderr, 'mortise: MORTISE_USAGE: "localhost:8080" is no URL of http: or https:\n  hint: did you mean http://localhost:8080?\n');
    assert.equal(bare.exitCode, 2);
  });

  it("refuses to ask nothing", async () => {
    const result = await runCli(["chat"], { stdin: " \n" });
    assert.equal(result.stderr, "mortise: MORTISE_USAGE: there is nothing to ask\n  hint: give words, or input: echo Hello | mortise chat\n");
    assert.equal(result.exitCode, 2);
  });
});

describe("mortise chat --interactive", () => {
  it("talks with what was said before, in lines and blocks, and does what it is told", async (t) => {
    const { folder } = configFile(t, "");
    const saved = join(folder, "talk.json");
    const lines = [
      "Hello",
      "/clear",
      "two \\",
      "lines",
      '"""',
      "/quit",
      "",
      "in a block",
      '"""',
      "/model other",
      "/nonsense",
      `/save ${saved}`,
      `/save ${saved}`,
      "/quit",
    ];
    await using server = await startStandIn({ models: ["m", "n"] });
    const args = ["chat", "-i", "--url", server.url, "--system", "Be brief"];
    const result = await runCli(args, { stdin: `${lines.join("\n")}\n` });
    assert.deepEqual([result.stderr, result.exitCode], ["", 0]);
    assert.equal(
      result.stdout.replaceAll(/^(?:[>.] )+/gm, ""),
      [
        `m at ${server.url}/v1; /help says what there is`,
        "Hello",
        "nothing was said",
        "two ",
        "lines",
        "/quit",
        "",
        "in a block",
        "other answers from now on",
        "there is no /nonsense; /help says what there is",
        `saved to ${saved}`,
        `cannot write "${saved}": it exists already`,
        "",
      ].join("\n"),
    );
    const messages = [
      { role: "system", content: "Be brief" },
      { role: "user", content: "two \nlines" },
      { role: "assistant", content: "two \nlines" },
      { role: "user", content: "/quit\n\nin a block" },
    ];
    assert.deepEqual(server.requests.at(-1)?.json["messages"], messages);
    const talk = JSON.parse(readFileSync(saved, "utf8")) as unknown;
    assert.deepEqual(talk, { model: "other", messages: [...messages, { role: "assistant", content: "/quit\n\nin a block" }] });
  });

  it("stops an answer at Ctrl-C, and ends at the next one", async () => {
    await using server = await slowServer();
    const child = startCli(["chat", "-i", "--url", server.url, "--model", "m"]);
    const { printed } = watch(child);
    child.stdin.write("one two three\n");
    await printed(/one/);
    child.kill("SIGINT");
    await printed(/one\nstopped\n> /);
    server.goOn();
    child.stdin.write("four\n");
    await printed(/> four\n> /);
    child.kill("SIGINT");
    assert.deepEqual(await ended(child), [130, null]);
  });

  it("ends at Ctrl-C while the server does not say which models it has, and stops /model", async () => {
    let asked = Promise.withResolvers<void>();
    const silent = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{", () => asked.resolve()));
    });
    await once(silent.listen(0, "127.0.0.1"), "listening");
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const child = startCli(["chat", "-i", "--url", url]);
    await asked.promise;
    child.kill("SIGINT");
    assert.deepEqual(await ended(child), [130, null]);

    asked = Promise.withResolvers();
    const talk = startCli(["chat", "-i", "--url", url, "--model", "m"]);
    const { printed } = watch(talk);
    talk.stdin.write("/model\n");
    await asked.promise;
    talk.kill("SIGINT");
    await printed(/> stopped\n> /);
    talk.stdin.end();
    assert.deepEqual(await ended(talk), [0, null]);
    silent.close();
  });

  it("goes on after a failure, and forgets what was not answered", async () => {
    await using server = await startStandIn({ behaviour: { fault: 500, failFirst: 1 } });
    const result = await runCli(["chat", "-i", "--url", server.url, "--model", "m"], { stdin: "first\nsecond\n" });
    assert.match(result.stderr, /^mortise: MORTISE_NO_ANSWER: .*\(status 500\)\n$/);
    assert.match(result.stdout, /> second\n$/);
    assert.deepEqual(server.requests.at(-1)?.json["messages"], [{ role: "user", content: "second" }]);
    assert.equal(result.exitCode, 0);
  });
});
