// A server with Gemini's wire that behaves as the stand-in does: it says the last text, calls tools, and fails as models are named.

import type { ServerResponse } from "node:http";

import { type Reply, type Sent, json, stream, vendorServer } from "../providers/vendor-server.ts";
import { type Body, type Said, VENDORS } from "../providers/vendors.ts";
import type { Behaviour } from "../stand-in/behaviour.ts";
import type { Upstream } from "./subjects.ts";

const google = VENDORS.find(({ name }) => name === "google") ?? assertFound();
const THOUGHT = "I say what I hear.";
const SIGNATURE = "c2ln";

function assertFound(): never {
  throw new Error("there is no vendor google");
}

/** Starts it; of a behaviour `fault`, `failFirst` and `retryAfterSecs` count. */
export async function startGoogle(byModel: Readonly<Record<string, Behaviour>>): Promise<Upstream> {
  const failed = new Map<string, number>();
  const open = new Set<ServerResponse>();
  let clientsLeft = 0;
  let idle: (() => void)[] = [];
  const server = await vendorServer(async (response, sent) => {
    open.add(response);
    response.once("close", () => {
      if (!response.writableFinished) clientsLeft++;
      open.delete(response);
      if (open.size > 0) return;
      for (const resolve of idle) resolve();
      idle = [];
    });
    await replyTo(sent, behaviourFor(modelOf(sent), byModel, failed))(response, sent);
  });
  return {
    url: `${server.url}/v1beta`,
    host: server.host,
    bodies: () => server.sent.map(({ body }) => body),
    keys: () => server.sent.map(({ headers }) => String(headers["x-goog-api-key"] ?? "")),
    left: () => clientsLeft,
    settled: async () => {
      if (open.size > 0) await new Promise<void>((resolve) => idle.push(resolve));
    },
    close: async () => server[Symbol.asyncDispose](),
  };
}

function modelOf({ path }: Sent): string {
  return /models\/([^:?]+)/.exec(path)?.[1] ?? "";
}

function behaviourFor(model: string, byModel: Readonly<Record<string, Behaviour>>, failed: Map<string, number>): Behaviour {
  const behaviour = byModel[model] ?? {};
  if (behaviour.failFirst === undefined) return behaviour;
  const count = failed.get(model) ?? 0;
  failed.set(model, count + 1);
  return count < behaviour.failFirst ? behaviour : {};
}

function replyTo(sent: Sent, { fault, retryAfterSecs }: Behaviour): Reply {
  const isStream = sent.path.includes(":streamGenerateContent");
  if (fault === "never") return () => new Promise(() => {});
  const status = fault === "error_in_stream" && !isStream ? 503 : fault;
  if (typeof status === "number")
    return json(google.error(status, `fault ${status}`), status, retryAfterSecs === undefined ? {} : { "retry-after": String(retryAfterSecs) });
  if (sent.path.startsWith(google.modelsPath.split("?", 1)[0] ?? "") && sent.method === "GET") return json(google.modelsBody);
  if (sent.path.includes(":batchEmbedContents")) return json(embeddings(sent.body));
  const answer = answerTo(sent.body);
  if (!isStream) return json(google.answer(answer));
  const events = google.events(answer);
  // The first of several events is what comes before things go wrong.
  const first = `${events.split("\r\n\r\n", 1)[0] ?? ""}\r\n\r\n`;
  if (fault === "no_end") return stream(first);
  if (fault === "stall") return (response) => void response.writeHead(200, { "content-type": "text/event-stream" }).write(first);
  return stream(fault === "error_in_stream" ? first + google.errorEvent : events, 9);
}

function answerTo(body: Body): Said {
  const parts = ((body["contents"] as Body[]).at(-1)?.["parts"] ?? []) as Body[];
  const result = parts.find((part) => part["functionResponse"] !== undefined);
  const text = parts.map((part) => (part["text"] as string | undefined) ?? "").join("");
  const thinks = (body["generationConfig"] as Body | undefined)?.["thinkingConfig"] !== undefined;
  const thinking = thinks ? { thinking: THOUGHT, signature: SIGNATURE } : {};
  if (result !== undefined) return { ...thinking, text: [JSON.stringify(result["functionResponse"])], finish: "stop" };
  const [name] = body["tools"] === undefined ? [] : (google.sentTools(body) as string[]);
  const mode = (body["toolConfig"] as Body | undefined)?.["functionCallingConfig"]?.["mode"] as string | undefined;
  if (name !== undefined && mode === "ANY") return { ...thinking, calls: [{ id: "call_1", name, arguments: { text } }], finish: "tools" };
  return { ...thinking, text: text.match(/\s*\S+/gu) ?? [""], finish: "stop" };
}

function embeddings(body: Body): object {
  return {
    embeddings: (body["requests"] as Body[]).map((request) => {
      const text = ((request["content"] as Body)["parts"] as Body[]).map((part) => String(part["text"])).join("");
      return { values: [text.length, 1, 2].slice(0, (request["outputDimensionality"] as number | undefined) ?? 3) };
    }),
  };
}
