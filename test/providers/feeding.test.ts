// How the lines of a stream are handed to parsers: by lines, until a rehearsal has shown that chunks are the same.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Provider, ProviderOptions } from "../../src/providers/index.ts";
import { collect, loadKit, loadText, say, textOf } from "./loading.ts";
import { parser, textProvider, third } from "./text-provider.ts";
import { LAST_EVENTS, type Upstream, event, upstream } from "./upstream.ts";

/** A server that sends several lines at once. */
const together = (text = "one two three four five"): Promise<Upstream> =>
  upstream(
    (_asked, response) => (
      response.end(
        text
          .split(/(?<= )/)
          .map((word) => event({ content: word }))
          .join("") + LAST_EVENTS,
      ),
      true
    ),
  );

/** Waits until a rehearsal has said something. */
async function rehearsed(provider: Provider): Promise<string | undefined> {
  while (provider.report.streaming.feeding === "lines, not rehearsed yet") await new Promise((resolve) => setImmediate(resolve));
  return provider.report.streaming.feeding;
}

describe("The option feeding: auto", () => {
  it("goes over to chunks with a parser that makes the same of them", async () => {
    await using server = await together();
    await using provider = await loadKit("provider3-rust", server);
    const first = await collect(provider.chatStream(say("x")));
    assert.equal(await rehearsed(provider), "chunks");
    assert.deepEqual(await collect(provider.chatStream(say("x"))), first);
    assert.equal(textOf(first), "one two three four five");
  });

  it("stays with lines with a parser that takes one line at a time", async () => {
    await using server = await together();
    await using provider = await loadKit("provider3-go", server);
    const first = await collect(provider.chatStream(say("x")));
    assert.equal(await rehearsed(provider), "lines");
    assert.deepEqual(await collect(provider.chatStream(say("x"))), first);
  });

  it("is not fooled by a parser that gives one chunk for whatever it gets, and does not disturb it", async () => {
    await using server = await upstream((_asked, response) => (response.end("a\nb\nc\nd\n"), true));
    const provider = await textProvider({ ...third(server.url), ...parser(`[{"chunk":{"text":"x"},"usage":null}]`) });
    await using loaded = await loadText(provider, { permissions: { hosts: [server.host] } });
    assert.equal(textOf(await collect(loaded.chatStream(say("x")))), "xxxx");
    assert.equal(await rehearsed(loaded), "lines");
    // That of requests, that of parsers, and that of the rehearsal: one that traps there does no harm here.
    assert.deepEqual(provider.inputs("init_logging"), ["0", "0", "0"]);
  });

  it("does not judge by streams that say too little, and stays with lines after eight of them", async () => {
    await using server = await together("one ");
    await using provider = await loadKit("provider3-rust", server);
    let streams = 0;
    for (; provider.report.streaming.feeding === "lines, not rehearsed yet"; streams++) await collect(provider.chatStream(say("x")));
    assert.equal(provider.report.streaming.feeding, "lines");
    assert.ok(streams >= 8, `after ${streams} streams`);
  });

  it("rehearses nothing for a stream that was left, and leaves nothing behind when it is closed at once", async () => {
    await using server = await together();
    const provider = await loadKit("provider3-rust", server);
    for await (const _chunk of provider.chatStream(say("x"))) break;
    assert.equal(provider.report.streaming.feeding, "lines, not rehearsed yet");
    await collect(provider.chatStream(say("x")));
    await provider.close();
  });
});

describe("The option feeding", () => {
  const cases: readonly (readonly [feeding: ProviderOptions["feeding"], pieces: number])[] = [
    ["lines", 4],
    ["chunks", 1],
  ];
  for (const [feeding, pieces] of cases)
    it(`${feeding} makes ${pieces} calls of four lines that come together`, async () => {
      await using server = await upstream((_asked, response) => (response.end("a\n\nb\n\n"), true));
      const provider = await textProvider({ ...third(server.url), ...parser("[]") });
      await using loaded = await loadText(provider, { permissions: { hosts: [server.host] }, ...(feeding === undefined ? {} : { feeding }) });
      await collect(loaded.chatStream(say("x")));
      assert.equal(provider.inputs("chat_stream_parser_parse").length, pieces);
      assert.equal(loaded.report.streaming.feeding, feeding);
    });
});
