// A server of node:http that keeps notes, and lets plugins refuse and change them.

import { once } from "node:events";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";

import { createHost, hook, isMortiseError } from "mortise";

interface Note {
  readonly author: string;
  readonly text: string;
}

await using host = await createHost({ hooks: { check: hook.chain<Note>(), beforeSave: hook.chain<Note>() } });
await host.plugins.load(new URL("../guests/prebuilt/hooks.c.wasm", import.meta.url), { name: "guard", config: { deny: "password" } });

async function addNote(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const request = host.request({ timeoutMs: 1000 });
  try {
    const note = (await json(incoming)) as Note;
    await host.hooks.check(note, { request });
    const saved = await host.hooks.beforeSave(note, { request });
    response.writeHead(201).end(JSON.stringify(saved));
  } catch (error) {
    const { status, code } = isMortiseError(error) ? error : { status: 400, code: "NOT_JSON" };
    response.writeHead(status).end(code);
  }
}

const server = createServer((incoming, response) => void addNote(incoming, response)).listen(0, "127.0.0.1");
await once(server, "listening");

// What its clients see:
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
for (const text of ["buy glue", "call 0123 456", "my password is tenon"]) {
  const response = await fetch(url, { method: "POST", body: JSON.stringify({ author: "Ada", text }) });
  console.log(`${response.status} ${await response.text()}`);
}
server.close();
