// Who is asked: a server at a URL, or a gateway in this process.

import type { ConfigProblem } from "../../config/problems.ts";
import { EventCutter } from "../../gateway/event-cutter.ts";
import { MortiseError, isMortiseError, printable } from "../../index.ts";
import { describeProblem } from "../config-command.ts";
import { printNote } from "../notes.ts";
import { openLog } from "../serve/log.ts";
import { startServer } from "../serve/server.ts";
import { findSettings } from "../serve/settings.ts";
import { usageError } from "../failure.ts";

/** One message of a talk. */
export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** What a model is asked. */
export interface Question {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly signal: AbortSignal;
}

/** Who is asked. */
export interface ChatServer extends AsyncDisposable {
  /** In words. */
  readonly name: string;
  /** Names of the models that it lists. @throws MortiseError MORTISE_NO_ANSWER */
  models(signal: AbortSignal): Promise<readonly string[]>;
  /** Pieces of an answer as they come. @throws MortiseError MORTISE_NO_ANSWER; the signal's reason */
  ask(question: Question): AsyncGenerator<string>;
}

/** Sends a request. */
type Send = (path: string, init: Omit<RequestInit, "headers"> & { readonly headers?: Readonly<Record<string, string>> }) => Promise<Response>;

/** Characters of one event of an answer. */
const MAX_EVENT_CHARS = 8 << 20;
/** Characters of an answer's error that are read. */
const MAX_ERROR_CHARS = 64 * 1024;

/** A server with OpenAI's interface. @throws MortiseError MORTISE_USAGE for a URL that is none */
export function remoteServer(url: string, key: string | undefined): ChatServer {
  const parsed = URL.parse(url);
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) {
    const isHost = !url.includes("://") && URL.canParse(`http://${url}`);
    throw usageError(`"${printable(url)}" is no URL of http: or https:`, isHost ? `did you mean http://${printable(url)}?` : undefined);
  }
  if (parsed.username !== "" || parsed.password !== "")
    throw usageError("a URL must not have a user name or password", "--key-env names a variable with a key");
  const path = parsed.pathname.replace(/\/+$/, "");
  const base = `${parsed.origin}${path.endsWith("/v1") ? path : `${path}/v1`}`;
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  const send: Send = (to, init) => fetch(base + to, { ...init, headers: { ...headers, ...init.headers } });
  return new HttpServer(base, send, async () => {}, key === undefined ? "--key-env names a variable with a key" : undefined);
}

/** A gateway in this process, with a configuration or what is built in. @throws MortiseError why there is none */
export async function ownServer(file: string | undefined): Promise<ChatServer> {
  const settings = await findSettings(file);
  const { gateway, ...rest } = await settings.read();
  // Who may read the configuration needs no key of it.
  const config = { ...rest, gateway: gateway && { ...gateway, clients: undefined, watch: false } };
  const log = await openLog({ level: "off" });
  const onNote = (note: ConfigProblem): void => printNote(describeProblem(note));
  const server = await startServer({ config, files: new Map(), log, listen: undefined, onNote });
  const send: Send = (path, init) => server.gateway.inject(new Request(`http://localhost/v1${path}`, init));
  return new HttpServer(settings.file ?? "the built-in gateway", send, () => server.close(0));
}

class HttpServer implements ChatServer {
  readonly name: string;
  readonly #send: Send;
  readonly #close: () => Promise<void>;
  readonly #keyHint: string | undefined;

  /** @param keyHint how to send a key, where none was sent */
  constructor(name: string, send: Send, close: () => Promise<void>, keyHint?: string) {
    this.#keyHint = keyHint;
    this.name = name;
    this.#send = send;
    this.#close = close;
  }

  async models(signal: AbortSignal): Promise<readonly string[]> {
    const response = await this.#request("/models", { signal });
    const list = (await response.json().catch(() => undefined)) as { readonly data?: unknown } | undefined;
    signal.throwIfAborted();
    const data: readonly unknown[] = Array.isArray(list?.data) ? list.data : [];
    return data.flatMap((model) => (typeof model === "object" && model !== null && "id" in model && typeof model.id === "string" ? model.id : []));
  }

  async *ask({ model, messages, signal }: Question): AsyncGenerator<string> {
    const body = JSON.stringify({ model, messages, stream: true });
    const response = await this.#request("/chat/completions", { method: "POST", body, signal, headers: { "content-type": "application/json" } });
    const type = response.headers.get("content-type") ?? "";
    if (!type.startsWith("text/event-stream") || response.body === null) throw this.#failure(`the answer is ${type || "of no type"}, and no stream`);
    let events: string[] = [];
    const cutter = new EventCutter(({ data }) => void events.push(data));
    try {
      for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
        cutter.feed(text);
        if (cutter.keptChars > MAX_EVENT_CHARS) throw this.#failure(`a piece of the answer has more than ${MAX_EVENT_CHARS} characters`);
        const complete = events;
        events = [];
        for (const data of complete) {
          if (data === "[DONE]") return;
          const piece = this.#textOf(data);
          if (piece !== "") yield piece;
        }
      }
    } catch (error) {
      signal.throwIfAborted();
      throw isMortiseError(error) ? error : this.#failure("the connection broke off", error);
    }
    throw this.#failure("the answer broke off");
  }

  /** The text of one event. */
  #textOf(data: string): string {
    let chunk: {
      readonly error?: { readonly message?: unknown };
      readonly choices?: readonly { readonly delta?: { content?: unknown; refusal?: unknown } }[];
    };
    try {
      chunk = JSON.parse(data) as typeof chunk;
    } catch {
      throw this.#failure("a piece of the answer is no JSON");
    }
    const { error } = chunk ?? {};
    if (error !== undefined) throw this.#failure(typeof error?.message === "string" ? error.message : "the answer broke off");
    const { content, refusal } = chunk?.choices?.[0]?.delta ?? {};
    return typeof content === "string" ? content : typeof refusal === "string" ? refusal : "";
  }

  /** A response that is good. */
  async #request(path: string, init: Parameters<Send>[1] & { readonly signal: AbortSignal }): Promise<Response> {
    let response: Response;
    try {
      response = await this.#send(path, init);
    } catch (error) {
      init.signal.throwIfAborted();
      const reason = reasonOf(error);
      throw this.#failure(reason, error, reason === NOBODY ? "mortise serve starts a gateway; without --url, mortise chat is one itself" : undefined);
    }
    if (response.ok) return response;
    init.signal.throwIfAborted();
    const text = (await response.text().catch(() => "")).slice(0, MAX_ERROR_CHARS);
    throw this.#failure(`${messageOf(text)} (status ${response.status})`, undefined, response.status === 401 ? this.#keyHint : undefined);
  }

  #failure(reason: string, cause?: unknown, hint?: string): MortiseError {
    return new MortiseError("MORTISE_NO_ANSWER", { from: this.name, reason: printable(reason, 1000), ...(hint !== undefined && { hint }) }, cause);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }
}

/** What a server says of a failure, in OpenAI's form if it has that. */
function messageOf(text: string): string {
  try {
    const { error } = JSON.parse(text) as { readonly error?: { readonly message?: unknown } };
    if (typeof error?.message === "string") return error.message;
  } catch {
    // a page of something in between
  }
  return "it refused the request";
}

const NOBODY = "nothing listens there";

/** Why a connection failed: what `fetch` says of it is in its cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === "ECONNREFUSED") return NOBODY;
  if (code === "ENOTFOUND") return "there is no such host";
  return message === "" || message === undefined ? String(code) : message;
}
