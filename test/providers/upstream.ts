// A server with OpenAI's wire, as far as the providers of the kits use it; tests take over what they want otherwise.

import type { IncomingMessage, ServerResponse } from "node:http";

import { type Listening, bodyOf, httpServer } from "../http/servers.ts";

/** A request as the server got it. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
  readonly body: Record<string, unknown>;
}

/** True if a test has answered. */
export type Takeover = (asked: Asked, response: ServerResponse) => boolean | Promise<boolean>;

export interface Upstream extends AsyncDisposable {
  /** Its URL without a slash at the end, and the entry that grants it. */
  readonly url: string;
  readonly host: string;
  readonly asked: Asked[];
  readonly server: Listening;
}

export const USAGE = { prompt_tokens: 11, completion_tokens: 7 };

/** An event of a stream. */
export function event(delta: unknown, finish: string | null = null): string {
  return `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
}

export const LAST_EVENTS: string = `${event({}, "stop")}data: ${JSON.stringify({ choices: [], usage: USAGE })}\n\ndata: [DONE]\n\n`;

/** Starts a server. Without a takeover it echoes the last message. */
export async function upstream(takeover: Takeover = () => false): Promise<Upstream> {
  const asked: Asked[] = [];
  const server = await httpServer(async (message, response) => {
    const text = (await bodyOf(message)).toString();
    const one: Asked = { method: message.method ?? "", path: message.url ?? "", headers: message.headers, text, body: parse(text) };
    asked.push(one);
    if (!(await takeover(one, response))) answer(one, response);
  });
  const host = `127.0.0.1:${server.port}`;
  return { url: `http://${host}`, host, asked, server, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function answer({ path, body }: Asked, response: ServerResponse): void {
  response.setHeader("content-type", "application/json");
  if (path.endsWith("/models")) response.end(JSON.stringify({ data: [{ id: "small" }, { id: "large" }] }));
  else if (path.endsWith("/embeddings"))
    response.end(JSON.stringify({ data: (body["input"] as string[]).map((text) => ({ embedding: [text.length, 0.5] })) }));
  else if (path.endsWith("/audio/speech")) response.end(JSON.stringify({ audio: Buffer.from(`spoken ${String(body["input"])}`).toString("base64") }));
  else if (body["stream"] === true) {
    response.setHeader("content-type", "text/event-stream");
    for (const word of lastText(body).split(/(?<= )/)) response.write(event({ content: word }));
    response.end(LAST_EVENTS);
  } else
    response.end(
      JSON.stringify({ choices: [{ message: { role: "assistant", content: `you said: ${lastText(body)}` }, finish_reason: "stop" }], usage: USAGE }),
    );
}

function lastText(body: Record<string, unknown>): string {
  const messages = (body["messages"] ?? []) as readonly { content: string | readonly { text?: string }[] }[];
  const content = messages.at(-1)?.content ?? "";
  return typeof content === "string" ? content : content.map(({ text }) => text ?? "").join("");
}
