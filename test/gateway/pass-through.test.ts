// Requests in an interface that the server behind the provider speaks: what goes through untouched, and what becomes of failures.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { type AddressInfo, type Socket, connect } from "node:net";
import { describe, it } from "node:test";

import { createGateway } from "mortise/gateway";

import { httpServer } from "../http/servers.ts";
import { loadText } from "../providers/loading.ts";
import { parser, textProvider, third } from "../providers/text-provider.ts";
import { PATHS, eventsOf, json, post, posting, say, shipped, startStage, textOf } from "./start-gateway.ts";

const APIS = ["chat", "messages", "responses", "embeddings"] as const;

describe("A request that passes through", () => {
  it("comes to the server as the client wrote it, but for the name of the model, and with the provider's key", async () => {
    await using stage = await startStage();
    const own = '{"messages" :[{"role":"user","content":"h\\u0069"}],\n "seed":123456789012345678901, "model" : "oai/gpt-x","temperature":1.0}';
    const response = await post(`${stage.url}/v1/chat/completions`, own, { authorization: "Bearer of-the-client", "x-own": "1" });
    assert.equal(response.status, 200);
    const [seen] = stage.standIn.requests;
    assert.equal(seen?.body, own.replace("oai/gpt-x", "gpt-x"));
    assert.equal(seen?.key, "sk-upstream");
    assert.equal(seen?.headers["x-own"], undefined);
  });

  it("comes back byte by byte, in every interface", async () => {
    await using stage = await startStage();
    for (const api of APIS) {
      const own = { ...say[api]("two words"), model: "m" };
      const provider = api === "messages" ? "ant" : "oai";
      const direct = await post(`${stage.standIn.url}${PATHS[api]}`, own, { authorization: "Bearer k", "anthropic-version": "2023-06-01" });
      const through = await post(`${stage.url}${PATHS[api]}`, { ...own, model: `${provider}/m` });
      assert.equal(through.status, 200);
      assert.equal(await through.text(), await direct.text(), api);
    }
  });

  it("comes back byte by byte as a stream, however the server cuts it", async () => {
    for (const behaviour of [{}, { split: 1 }, { split: "utf8" }, { split: "lines", crlf: true }, { burst: true, pings: true }] as const) {
      await using stage = await startStage({}, { behaviour });
      for (const api of ["chat", "messages", "responses"] as const) {
        const own = { ...say[api]("zwölf Bäume 🌳 sind größer"), model: "m", stream: true };
        const direct = await post(`${stage.standIn.url}${PATHS[api]}`, own, { authorization: "Bearer k", "anthropic-version": "2023-06-01" });
        const through = await post(`${stage.url}${PATHS[api]}`, { ...own, model: api === "messages" ? "ant/m" : "oai/m" });
        assert.match(through.headers.get("content-type") ?? "", /^text\/event-stream/);
        assert.equal(await through.text(), await direct.text(), `${api} ${JSON.stringify(behaviour)}`);
      }
    }
  });

  it("is named by its client, or by the gateway", async () => {
    await using stage = await startStage();
    const url = `${stage.url}/v1/chat/completions`;
    const named = await post(url, say.chat("a"), { "x-request-id": "req-7:a" });
    assert.equal(named.headers.get("x-request-id"), "req-7:a");
    for (const id of ["with spaces", "x".repeat(200), "{}"])
      assert.match((await post(url, say.chat("a"), { "x-request-id": id })).headers.get("x-request-id") ?? "", /^[0-9a-f-]{36}$/);
  });

  it("is told the server's own name for it, if that can stand in a header", async () => {
    let name = "";
    await using server = await httpServer((_request, response) => {
      response.writeHead(200, { "content-type": "application/json", "x-request-id": name }).end("{}");
    });
    await using gateway = await createGateway({ providers: { oai: shipped("provider-openai", { url: `http://127.0.0.1:${server.port}` }) } });
    for (name of ["req_9", "a b", ""]) {
      const response = await gateway.inject(new Request("http://gateway/v1/chat/completions", posting(say.chat("a"))));
      assert.equal(response.headers.get("x-upstream-request-id"), name === "req_9" ? name : null);
      assert.notEqual(response.headers.get("x-request-id"), name);
    }
  });

  it("gets the server's own words for what is wrong with it, and when to come again", async () => {
    await using stage = await startStage({}, { behaviour: { fault: 429, retryAfterSecs: 7 } });
    for (const api of ["chat", "messages"] as const) {
      const response = await post(`${stage.url}${PATHS[api]}`, say[api]("a"));
      const direct = await post(`${stage.standIn.url}${PATHS[api]}`, say[api]("a"), { authorization: "Bearer k" });
      assert.deepEqual([response.status, response.headers.get("retry-after")], [429, "7"]);
      const { error } = (await json(direct)) as { error: { message: string } };
      assert.equal((await json(response)).error.message, error.message);
    }
  });

  it("does not show the client what the server says of the gateway's key", async () => {
    await using stage = await startStage({}, { behaviour: { fault: 401 } });
    const response = await post(`${stage.url}/v1/chat/completions`, say.chat("a"));
    assert.equal(response.status, 401);
    assert.equal((await json(response)).error.message, "The model's server refused the key of the gateway");
  });

  it("gets an error for an answer that is of another type", async () => {
    await using stage = await startStage({}, { behaviour: { fault: "wrong_content_type" } });
    for (const stream of [false, true]) {
      const response = await post(`${stage.url}/v1/chat/completions`, say.chat("a", { stream }));
      assert.equal(response.status, 502);
      assert.match((await json(response)).error.message, /content type/);
    }
  });

  it("gets an error when the server drops the connection before the answer", async () => {
    for (const fault of ["drop_before_head", "drop_mid_head", "drop_mid_body"] as const) {
      await using stage = await startStage({}, { behaviour: { fault } });
      const response = await post(`${stage.url}/v1/chat/completions`, say.chat("a"));
      assert.equal(response.status, 502, fault);
      assert.equal((await json(response)).error.type, "server_error");
    }
  });

  it("ends with an error event, not with half of one, when the server drops a stream", async () => {
    for (const api of ["chat", "messages", "responses"] as const)
      for (const split of [5, 64]) {
        await using stage = await startStage({}, { behaviour: { fault: "drop_mid_body", split } });
        const response = await post(`${stage.url}${PATHS[api]}`, say[api]("one two three four five six", { stream: true }));
        assert.equal(response.status, 200);
        const text = await response.text();
        const last = eventsOf(text).at(-1) as { error?: { message?: string }; type?: string };
        assert.ok(last.error !== undefined || last.type === "error" || last.type === "response.failed", `${api}: ${JSON.stringify(last)}`);
        assert.ok(!text.includes("[DONE]") && !text.includes("message_stop") && !text.includes("response.completed"));
      }
  });
});

describe("A client that goes away", () => {
  it("ends the request to the server, whether the answer has begun or not", async () => {
    for (const behaviour of [{ fault: "never" }, { fault: "stall" }] as const) {
      await using stage = await startStage({}, { behaviour });
      const aborter = new AbortController();
      const body = say.chat("a", behaviour.fault === "stall" ? { stream: true } : {});
      const answer = post(`${stage.url}/v1/chat/completions`, body, {}, aborter.signal);
      if (behaviour.fault === "stall") await answer;
      else while (stage.standIn.counters.open === 0) await new Promise(setImmediate);
      aborter.abort();
      await assert.rejects(async () => (await answer).text(), { name: "AbortError" });
      await stage.standIn.settled();
      assert.equal(stage.standIn.counters.clientsLeft, 1);
      while (stage.gateway.health().requests > 0) await new Promise(setImmediate);
    }
  });
});

describe("A client that reads slowly", () => {
  it("holds back the server, and the gateway keeps little of the answer", async () => {
    const total = 64 << 20;
    let sent = 0;
    // Sends as much as it can, and says how far it got.
    const server = createServer((request, response) => {
      request.resume().on("end", () => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        const piece = Buffer.from(`data: {"choices":[],"pad":"${"x".repeat(65_500)}"}\n\n`);
        const more = (): void => {
          while (sent < total) {
            sent += piece.length;
            if (!response.write(piece)) return void response.once("drain", more);
          }
          response.end();
        };
        more();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const upstream = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
    await using gateway = await createGateway({ providers: { oai: shipped("provider-openai", upstream) } });
    const { port } = await gateway.start();
    const body = JSON.stringify(say.chat("a", { stream: true }));
    const socket: Socket = connect(port, "127.0.0.1");
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await new Promise((resolve) => socket.once("readable", resolve));
    // Nobody reads any more: what the server gets rid of settles, far from all of it.
    let before = -1;
    for (let still = 0; still < 50; before = sent) {
      await new Promise((resolve) => setTimeout(resolve, 2));
      still = sent === before ? still + 1 : 0;
    }
    assert.ok(sent < total / 2, `the server has sent ${sent} bytes`);
    let received = 0;
    for await (const data of socket) if ((received += (data as Buffer).length) >= total) break;
    socket.destroy();
    server.closeAllConnections();
    server.close();
  });
});

describe("A request in another interface than the server's", () => {
  it("is answered in the client's, whole and as a stream", async () => {
    await using stage = await startStage();
    const chat = await json(post(`${stage.url}/v1/chat/completions`, say.chat("hello there", { model: "ant/m" })));
    assert.equal(chat.choices[0].message.content, "hello there");
    assert.deepEqual([chat.usage.prompt_tokens, chat.usage.completion_tokens], [2, 2]);
    const messages = await json(post(`${stage.url}/v1/messages`, say.messages("hello there", { model: "oai/m" })));
    assert.deepEqual([messages.type, messages.content[0].text, messages.stop_reason], ["message", "hello there", "end_turn"]);
    assert.deepEqual(
      stage.standIn.requests.map(({ path, key }) => [path, key]),
      [
        ["/v1/messages", "sk-upstream"],
        ["/v1/chat/completions", "sk-upstream"],
      ],
    );
    const stream = await (await post(`${stage.url}/v1/chat/completions`, say.chat("hello there", { model: "ant/m", stream: true }))).text();
    assert.equal(textOf(stream), "hello there");
    assert.equal(eventsOf(stream).at(-1), "[DONE]");
    const events = eventsOf(await (await post(`${stage.url}/v1/messages`, say.messages("hello there", { model: "oai/m", stream: true }))).text()) as {
      type: string;
      delta?: { text?: string };
    }[];
    assert.deepEqual([events[0]?.type, events.at(-1)?.type], ["message_start", "message_stop"]);
    assert.equal(events.map(({ delta }) => delta?.text ?? "").join(""), "hello there");
  });

  it("is not made whole where the provider's stream was not", async () => {
    await using server = await httpServer((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" }).end("line\n");
    });
    const piece = '[{"chunk":{"text":"one"},"usage":null}]';
    const exports = third(`http://127.0.0.1:${server.port}`, { supports_streaming: "true", ...parser(piece, "[]") });
    await using provider = await loadText(await textProvider(exports), { permissions: { hosts: [`127.0.0.1:${server.port}`] } });
    await using gateway = await createGateway({ providers: { own: { provider } } });
    for (const api of ["chat", "messages"] as const) {
      const body = { ...say[api]("hello", { stream: true }), model: "m" };
      const text = await (await gateway.inject(new Request(`http://gateway${PATHS[api]}`, posting(body)))).text();
      assert.match(text, /one[^]*ended before the model had stopped/);
      assert.doesNotMatch(text, /\[DONE\]|message_stop/);
    }
  });

  it("fails in the words of the client's", async () => {
    await using stage = await startStage({}, { behaviour: { fault: 529 } });
    const { error } = await json(post(`${stage.url}/v1/chat/completions`, say.chat("a", { model: "ant/m" })));
    assert.deepEqual([error.type, error.code !== undefined], ["server_error", true]);
    const other = await json(post(`${stage.url}/v1/messages`, say.messages("a", { model: "oai/m", stream: true })));
    assert.deepEqual([other.type, other.error.type], ["error", "overloaded_error"]);
  });
});
