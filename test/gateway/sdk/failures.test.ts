// Failures, as both official packages meet them: of the client, of the gateway, and of the server behind each provider.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Anthropic } from "@anthropic-ai/sdk";
import { OpenAI } from "openai";

import { SUBJECTS, type Scene, type Subject, openScene } from "./subjects.ts";

const MESSAGES = [{ role: "user" as const, content: "one two three four" }];
/** Each operation with answers, asked with a model. */
const OPERATIONS = {
  "openai, chat completions": ({ openai }: Scene, model: string, stream: boolean) =>
    stream
      ? openai.chat.completions.stream({ model, messages: MESSAGES }).finalChatCompletion()
      : openai.chat.completions.create({ model, messages: MESSAGES }),
  "openai, responses": ({ openai }: Scene, model: string, stream: boolean) =>
    stream
      ? openai.responses.stream({ model, input: "one two three four" }).finalResponse()
      : openai.responses.create({ model, input: "one two three four" }),
  "@anthropic-ai/sdk, messages": ({ anthropic }: Scene, model: string, stream: boolean) => {
    const asked = { model, max_tokens: 2000, messages: MESSAGES };
    return stream ? anthropic.messages.stream(asked).finalMessage() : anthropic.messages.create(asked);
  },
} as const satisfies Record<string, (scene: Scene, model: string, stream: boolean) => Promise<unknown>>;

type Failed = Error & { readonly status?: number | undefined; readonly headers?: Headers | undefined };
type ErrorClass = "BadRequestError" | "AuthenticationError" | "NotFoundError" | "RateLimitError" | "InternalServerError" | "APIError";

/** How an operation failed: with an error of its own package. */
async function failureOf(asked: Promise<unknown>, wanted: ErrorClass): Promise<Failed> {
  try {
    await asked;
  } catch (error) {
    assert.ok(error instanceof OpenAI[wanted] || error instanceof Anthropic[wanted], `${wanted} was expected, but there was ${String(error)}`);
    return error;
  }
  return assert.fail("it succeeded");
}

function each(check: (operation: (typeof OPERATIONS)[keyof typeof OPERATIONS], stream: boolean, what: string) => Promise<void>): Promise<unknown> {
  const all = Object.entries(OPERATIONS).flatMap(([what, operation]) => [true, false].map((stream) => [what, operation, stream] as const));
  return Promise.all(all.map(([what, operation, stream]) => check(operation, stream, `${what}${stream ? ", streamed" : ""}`)));
}

/** Resolves when a server has been asked once more than so often. */
async function arrival({ upstream }: Scene, count: number): Promise<void> {
  while ((upstream?.bodies().length ?? 0) <= count) await new Promise(setImmediate);
}

function inScene(subject: Subject, tests: (scene: () => Scene) => void): void {
  describe(`Failures through the gateway, ${subject.name}`, { timeout: 20_000 }, () => {
    let scene: Scene | undefined;
    before(async () => {
      scene = await openScene(subject);
    });
    after(() => scene?.[Symbol.asyncDispose]());
    tests(() => scene ?? assert.fail("there is no scene"));
  });
}

for (const subject of SUBJECTS) {
  inScene(subject, (scene) => {
    it("refuse a key that is not the client's", async () => {
      const wrong = { ...scene(), openai: scene().openaiWith({ apiKey: "wrong" }), anthropic: scene().anthropicWith({ apiKey: "wrong" }) };
      await each(async (operation, stream, what) => {
        const { status } = await failureOf(operation(wrong, "p/alpha", stream), "AuthenticationError");
        assert.equal(status, 401, what);
      });
    });

    it("do not find a model, and name those that are near", async () => {
      await each(async (operation, stream, what) => {
        const { status, message } = await failureOf(operation(scene(), "p/alpah", stream), "NotFoundError");
        assert.equal(status, 404, what);
        assert.match(message, /p\/alpah.*alpha/, what);
      });
    });

    it("name the field that is wrong", async () => {
      const { openai, anthropic } = scene();
      const content = [{ type: "image_url", image_url: { url: 7 } }] as unknown as string;
      const chat = openai.chat.completions.create({ model: "p/alpha", messages: [{ role: "user", content }] });
      await assert.rejects(chat, { status: 400, param: "messages[0].content[0].image_url.url" });
      await assert.rejects(openai.responses.create({ model: "p/alpha", input: 7 as unknown as string }), { status: 400, param: "input" });
      await assert.rejects(openai.embeddings.create({ model: "p/alpha", input: "a", dimensions: -1 }), { status: 400, param: "dimensions" });
      const { message } = await failureOf(anthropic.messages.create({ model: "p/alpha", max_tokens: -1, messages: MESSAGES }), "BadRequestError");
      assert.match(message, /max_tokens/);
    });

    if (!subject.server) return;

    const statuses: readonly (readonly [model: string, wanted: ErrorClass, statuses: readonly number[]])[] = [
      ["fault-400", "BadRequestError", [400]],
      ["fault-401", "AuthenticationError", [401]],
      ["fault-429", "RateLimitError", [429]],
      ["fault-500", "InternalServerError", [500, 502]],
      ["fault-503", "InternalServerError", [503]],
    ];
    for (const [model, wanted, allowed] of statuses)
      it(`are those of the packages for what the server answers: ${model}`, async () => {
        await each(async (operation, stream, what) => {
          const { status, message, headers } = await failureOf(operation(scene(), `p/${model}`, stream), wanted);
          assert.ok(allowed.includes(status ?? 0), `${what}: ${status}`);
          assert.ok(!message.includes("sk-of-the-gateway"), what);
          if (model === "fault-429") assert.equal(headers?.get("retry-after"), "1", what);
        });
      });

    it("end a stream in its middle", async () => {
      await each(async (operation, stream, what) => {
        if (!stream) return;
        const { status } = await failureOf(operation(scene(), "p/fault-middle", true), "APIError");
        assert.ok(status === undefined || status >= 500, what);
      });
      let text = "";
      const chunks = await scene().openai.chat.completions.create({ model: "p/fault-middle", messages: MESSAGES, stream: true });
      const reading = async (): Promise<void> => {
        for await (const chunk of chunks) text += chunk.choices[0]?.delta.content ?? "";
      };
      await failureOf(reading(), "APIError");
      assert.ok("one two three four".startsWith(text) && text !== "", text);
    });

    it("tell a stream that was cut from one that is whole", async () => {
      await each(async (operation, stream, what) => {
        if (!stream) return;
        const cut = operation(scene(), "p/fault-cut", true);
        if (subject.missesCuts.some((missed) => what.startsWith(missed))) await cut;
        else await assert.rejects(cut, Error, what);
      });
    });

    it("of the client end the request at the server: before an answer, and within it", async () => {
      const { upstream, openai, anthropic } = scene();
      assert.ok(upstream !== undefined);
      for (const client of ["openai", "anthropic"] as const) {
        const controller = new AbortController();
        const left: number = upstream.left();
        const count = upstream.bodies().length;
        const silent =
          client === "openai"
            ? openai.chat.completions.create({ model: "p/fault-silent", messages: MESSAGES }, { signal: controller.signal })
            : anthropic.messages.create({ model: "p/fault-silent", max_tokens: 9, messages: MESSAGES }, { signal: controller.signal });
        const ended = assert.rejects(silent, (error) => error instanceof OpenAI.APIUserAbortError || error instanceof Anthropic.APIUserAbortError);
        await arrival(scene(), count);
        controller.abort();
        await ended;
        await upstream.settled();
        assert.equal(upstream.left(), left + 1);
        const stalled =
          client === "openai"
            ? await openai.chat.completions.create({ model: "p/fault-stall", messages: MESSAGES, stream: true })
            : await anthropic.messages.create({ model: "p/fault-stall", max_tokens: 9, messages: MESSAGES, stream: true });
        for await (const _first of stalled) break;
        stalled.controller.abort();
        await upstream.settled();
        assert.equal(upstream.left(), left + 2);
      }
    });
  });
}

describe("What takes its time, through the gateway with every provider", { timeout: 20_000 }, () => {
  const withServers = SUBJECTS.filter(({ server }) => server);

  it("is tried again by the packages when retry-after says so", async () => {
    const one = async (subject: Subject): Promise<void> => {
      await using scene = await openScene(subject);
      const openai = scene.openaiWith({ maxRetries: 1 });
      const anthropic = scene.anthropicWith({ maxRetries: 1 });
      const began = performance.now();
      await Promise.all([
        openai.chat.completions.create({ model: "p/fault-once-openai", messages: MESSAGES }),
        anthropic.messages.create({ model: "p/fault-once-anthropic", max_tokens: 9, messages: MESSAGES }),
      ]);
      // Their own first pause is half a second at most.
      assert.ok(performance.now() - began > 990, subject.name);
      assert.equal(scene.upstream?.bodies().length, 4);
    };
    await Promise.all(withServers.map(one));
  });

  it("ends at the gateway's deadline with 504, and at the client's own", async () => {
    const one = async (subject: Subject): Promise<void> => {
      await using scene = await openScene(subject);
      await each(async (operation, stream, what) => {
        const { status } = await failureOf(operation(scene, "p/fault-silent", stream), "InternalServerError");
        assert.equal(status, 504, `${subject.name}: ${what}`);
      });
      const hasty = { ...scene, openai: scene.openaiWith({ timeout: 50 }), anthropic: scene.anthropicWith({ timeout: 50 }) };
      await each((operation, stream) =>
        assert.rejects(
          operation(hasty, "p/fault-silent", stream),
          (error) => error instanceof OpenAI.APIConnectionTimeoutError || error instanceof Anthropic.APIConnectionTimeoutError,
        ),
      );
      await scene.upstream?.settled();
      assert.equal(scene.upstream?.left(), scene.upstream?.bodies().length, subject.name);
    };
    await Promise.all(withServers.map(one));
  });
});
