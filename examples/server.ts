// A server for notes whose plugins can be replaced while it runs; it says what to try. It listens on this machine alone, at
// ports that are free, or at PORT and METRICS_PORT.

import { subscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { type IncomingMessage, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

import { type Host, type LoadOptions, createHost, createServices, hook, isMortiseError } from "mortise";
import { CHANNELS, type LifecycleEvent, createTelemetry, serveMetrics } from "mortise/telemetry";

interface Note {
  readonly author: string;
  readonly text: string;
  readonly number?: number;
  readonly digest?: string;
}

interface Reply {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

const ADDRESS = "127.0.0.1";
const MAX_BODY_BYTES = 16 * 1024;
const MAX_NOTES = 1000;
/** Milliseconds for a request to arrive, and for those under way to end when the server stops. */
const REQUEST_MS = 10_000;
const DRAIN_MS = 5000;
/** npm hands on a Ctrl-C that the terminal has sent already: what comes within so many milliseconds is the same one. */
const SAME_SIGNAL_MS = 500;

// Both fail closed: where a plugin fails, no note is saved.
const hooks = { check: hook.first<Note, never>({ input: noteOf }), beforeSave: hook.chain<Note>({ input: noteOf }) };

// The name of each, the guest that it is made from, and what it gets; nothing that is not said here is granted.
const PLUGINS: readonly (readonly [name: string, guest: string, options: LoadOptions])[] = [
  ["digest", "sha256.c", {}],
  ["guard", "hooks.c", { order: 1, config: { deny: "password" }, limits: { timeoutMs: 100 } }],
  ["tidy", "tidy.ts", { order: 2 }],
  ["stamp", "stamp.ts", { order: 3, dependsOn: ["digest"], permissions: { kv: "read-write", call: ["digest:sha256"] } }],
];

const ROOT = relative(process.cwd(), fileURLToPath(new URL("..", import.meta.url)));
const guestFile = (guest: string): string => join(ROOT, "guests", "prebuilt", `${guest}.wasm`);

try {
  await serve();
} catch (error) {
  console.error(`server: ${messageOf(error)}`);
  process.exit(1);
}

async function serve(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "mortise-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const stopAsked = watchSignals();
  subscribe(CHANNELS.lifecycle, (event) => sayReload(event as LifecycleEvent));

  await using services = createServices();
  const logger = { trace() {}, debug() {}, info: say, warn: say, error: say };
  await using host = await createHost({ hooks, services, logger });
  using telemetry = createTelemetry({ plugins: () => host.plugins.list().flatMap(({ name }) => host.plugins.get(name) ?? []) });
  for (const [name, guest, options] of PLUGINS) {
    const file = join(folder, `${name}.wasm`);
    copyFileSync(guestFile(guest), file);
    await host.plugins.load(file, { ...options, watch: true });
  }
  await using metrics = await serveMetrics(telemetry, { port: Number(process.env["METRICS_PORT"] ?? 0) });

  const notes: Note[] = [];
  const limits = { requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS, connectionsCheckingInterval: 1000 };
  const server = createServer(limits, async (incoming, response) => {
    const { status, body, headers } = await replyTo(incoming, host, notes).catch(failed);
    response.writeHead(status, { "content-type": "application/json", ...headers, ...(!server.listening && { connection: "close" }) });
    response.end(`${JSON.stringify(body, undefined, 2)}\n`);
  });
  server.listen(Number(process.env["PORT"] ?? 0), ADDRESS);
  await once(server, "listening");
  console.log(guide(`${ADDRESS}:${(server.address() as AddressInfo).port}`, metrics.url, folder));

  await stopAsked;
  server.close();
  say("stopping when all requests are answered; Ctrl-C again stops at once");
  setTimeout(() => server.closeAllConnections(), DRAIN_MS).unref();
  await once(server, "close");
  say("stopped");
}

/** Settled by the first Ctrl-C. A second one ends the process. */
function watchSignals(): Promise<void> {
  let askedAt = Number.POSITIVE_INFINITY;
  return new Promise((resolve) => {
    const stop = (): void => {
      if (performance.now() - askedAt > SAME_SIGNAL_MS) process.exit(130);
      askedAt = Math.min(askedAt, performance.now());
      resolve();
    };
    for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, stop);
  });
}

async function replyTo(incoming: IncomingMessage, host: Host<typeof hooks>, notes: Note[]): Promise<Reply> {
  const { method = "", url = "" } = incoming;
  const [path, plugins, name] = /^\/(?:notes|(plugins)(?:\/([\w-]+))?)(?:\?|$)/.exec(url) ?? [];
  if (path === undefined) return refusal(404, "NOT_FOUND", "there are /notes, /plugins and /plugins/NAME");
  if (method === "POST" && plugins === undefined) return addNote(incoming, host, notes);
  const allow = plugins === undefined ? "GET, POST" : "GET";
  if (method !== "GET") return { ...refusal(405, "METHOD_NOT_ALLOWED", `this takes ${allow}`), headers: { allow } };
  if (plugins === undefined) return { status: 200, body: notes };
  return { status: 200, body: name === undefined ? host.plugins.list() : host.plugins.describe(name) };
}

async function addNote(incoming: IncomingMessage, host: Host<typeof hooks>, notes: Note[]): Promise<Reply> {
  const body = await readBody(incoming);
  if (body === undefined) return refusal(413, "TOO_LARGE", `a note may have ${MAX_BODY_BYTES} bytes`);
  let note: Note;
  try {
    const { author, text } = noteOf(JSON.parse(body));
    note = { author, text };
  } catch (error) {
    return refusal(400, "NOT_A_NOTE", messageOf(error));
  }
  const request = host.request({ timeoutMs: 1000 });
  await host.hooks.check(note, { request });
  const saved = await host.hooks.beforeSave(note, { request });
  notes.push(saved);
  if (notes.length > MAX_NOTES) notes.shift();
  return { status: 201, body: saved };
}

/** The body, or undefined if it is too long: what is too much is read, so that the client reads the answer, but not kept. */
async function readBody(incoming: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  return bytes > MAX_BODY_BYTES ? undefined : Buffer.concat(chunks).toString();
}

/** What a note has, and nothing else: clients and plugins may send anything. @throws TypeError */
function noteOf(value: unknown): Note {
  const { author, text, number, digest }: Partial<Record<keyof Note, unknown>> = value ?? {};
  if (typeof author !== "string" || typeof text !== "string" || !`${author} ${text}`.isWellFormed())
    throw new TypeError('a note is {"author": "…", "text": "…"}');
  return { author, text, ...(typeof number === "number" && { number }), ...(typeof digest === "string" && { digest }) };
}

function failed(error: unknown): Reply {
  return isMortiseError(error) ? refusal(error.status, error.code, error.message) : refusal(500, "INTERNAL", messageOf(error));
}

function refusal(status: number, code: string, message: string): Reply {
  return { status, body: { error: { code, message } } };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function sayReload({ plugin, version, from, to }: LifecycleEvent): void {
  if (version !== "1" && from === "loading" && to === "ready") say(`plugin "${plugin}" is version ${version} now`);
}

/** Prints a line, broken at 80 columns. */
function say(text: string): void {
  console.log(`  ${text.replaceAll(/(.{1,74})(?: |$)/g, "$1\n    ").trimEnd()}`);
}

/** What is there, and what to try. */
function guide(server: string, metrics: string, folder: string): string {
  return `
  Notes, and four plugins

    notes    http://${server}/notes
    metrics  ${metrics}
    plugins  ${folder}

    guard    refuses notes with the word "password", and masks digits
    tidy     leaves one space between words
    stamp    numbers notes in the store, and asks digest for their SHA-256
    digest   in no hook: stamp may call it

  Send a note that passes, and one that guard refuses:

    curl ${server}/notes -d '{"author":"Ada","text":"call  0123 456"}'
    curl ${server}/notes -d '{"author":"Eve","text":"my password is oak"}'

  See all notes, all plugins, and what was counted:

    curl ${server}/notes
    curl ${server}/plugins
    curl ${metrics.replace("http://", "")}

  Give tidy its next version, and send the first note again:

    cp ${guestFile("tidy_2.ts")} ${folder}/tidy.wasm

  Break guard: it goes on as it was, and says why. Send the second note again:

    cp ${join(ROOT, "README.md")} ${folder}/guard.wasm
    curl ${server}/plugins/guard

  Ctrl-C stops the server, and removes the folder.
`;
}
