// The usage that the gateway asks for is not in what the client gets.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { LineHolder } from "../../src/gateway/line-holder.ts";
import { UsageRemover } from "../../src/gateway/usage-remover.ts";

const CHOICE = '{"index":0,"delta":{"content":"\\u00e9 \\",\\"usage\\":null"},"finish_reason":null}';
const USAGE = '{"prompt_tokens":1,"total_tokens":3}';

/** What is left of a stream that comes in pieces of so many bytes. */
function kept(stream: Uint8Array, size: number): Buffer {
  const remover = new UsageRemover();
  const holder = new LineHolder();
  const out: Uint8Array[] = [];
  for (let at = 0; at < stream.length; at += size) out.push(Buffer.from(remover.lines(holder.push(stream.subarray(at, at + size)))));
  out.push(remover.lines(holder.rest()));
  return Buffer.concat(out);
}

describe("UsageRemover", () => {
  const cases: readonly (readonly [name: string, stream: string, left: string])[] = [
    [
      "the chunk at the end",
      `data: {"choices":[${CHOICE}]}\n\ndata: {"choices":[],"usage":${USAGE}}\n\ndata: [DONE]\n\n`,
      `data: {"choices":[${CHOICE}]}\n\ndata: [DONE]\n\n`,
    ],
    [
      "what says that there is none yet",
      `data: {"choices":[${CHOICE}],"usage":null}\n\ndata: {"choices":[${CHOICE}],"usage":null,"x":1}\n\ndata: {"choices":[], "usage" : ${USAGE}}\n\n`,
      `data: {"choices":[${CHOICE}]}\n\ndata: {"choices":[${CHOICE}],"x":1}\n\n`,
    ],
    ["lines that end with CR LF", `data: {"choices":[],"usage":${USAGE}}\r\n\r\ndata: [DONE]\r\n\r\n`, "data: [DONE]\r\n\r\n"],
    ["the end of a stream without a blank line", `data: {"choices":[],"usage":${USAGE}}`, ""],
  ];
  for (const [name, stream, left] of cases)
    it(`takes out ${name}, wherever the stream is cut`, () => {
      const bytes = Buffer.from(stream);
      for (let size = 1; size <= bytes.length; size++) assert.equal(kept(bytes, size).toString(), left, `pieces of ${size} bytes`);
    });

  it("leaves every other byte as it is, also those that are no UTF-8", () => {
    for (const stream of [
      `data: {"choices":[${CHOICE}],"usage":${USAGE}}\n\n`,
      'data: {"choices":[],"usage":{}\n\n',
      'data: {"choices":[],"x_usage":{"usage":1}}\n\n',
      ': "usage"\n\nevent: "usage"\ndata: x\n\n',
      'data: "\xff\xfe" "usage"\n\n\n\n',
    ]) {
      const bytes = Buffer.from(stream, "latin1");
      for (const size of [1, 7, bytes.length]) assert.deepEqual(kept(bytes, size), bytes);
    }
  });
});
