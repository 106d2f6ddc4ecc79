// The third part of the tour: a plugin that wants the network, refused and allowed. The server that it asks runs in this
// process, on this thread.

import { type Server, createServer } from "node:http";

import { type HostFunctions, loadPlugin } from "../index.ts";
import { toMortiseError } from "./failure.ts";
import { milliseconds } from "./quantities.ts";
import type { SelfCheck } from "./self-check.ts";

/** Columns of the rows. */
export const HTTP_COLUMNS = ["granted", "asks for", "gets", "after"] as const;

/** What the tour shows of one request. */
export interface HttpRow {
  readonly cells: readonly string[];
  readonly note: string;
}

const HOST = "127.0.0.1";
/** Where clouds keep credentials of their machines. */
const METADATA = "169.254.169.254";
const GREETING = "Hello from the tour's own server";

interface Request {
  readonly granted: readonly string[];
  readonly path: string;
  readonly wanted: string;
}

const REQUESTS: readonly Request[] = [
  { granted: [], path: "/hello", wanted: "MORTISE_PERMISSION" },
  { granted: [HOST], path: "/hello", wanted: "200" },
  { granted: [HOST], path: "/away", wanted: "MORTISE_HTTP_DENIED" },
];

/** The plugin imports this one as well; the tour does not need it. */
const UNUSED: HostFunctions = { "extism:host/user": { reverse: () => 0n } };

/** Lets the plugin make every request. */
export async function runRequests(plugin: URL, check: SelfCheck): Promise<HttpRow[]> {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(request.url ?? "");
    if (request.url === "/away") response.writeHead(302, { location: `http://${METADATA}/` }).end();
    else response.end(GREETING);
  });
  const port = await listen(server);
  try {
    const rows: HttpRow[] = [];
    for (const request of REQUESTS) rows.push(await runRequest(plugin, request, `http://${HOST}:${port}${request.path}`, check));
    check.expect(seen.join(" ") === "/hello /away", `the server was asked for ${seen.join(", ")}`);
    return rows;
  } finally {
    server.close().closeAllConnections();
  }
}

async function runRequest(file: URL, { granted, path, wanted }: Request, url: string, check: SelfCheck): Promise<HttpRow> {
  await using plugin = await loadPlugin(file, { permissions: { hosts: granted }, hostFunctions: UNUSED });
  const began = performance.now();
  let gets: string;
  let note: string;
  try {
    const answer = (await plugin.call("fetch", url)).json() as { readonly status: number; readonly body: string };
    gets = String(answer.status);
    note = answer.body;
    check.expect(note === GREETING, `the plugin got "${note}"`);
  } catch (error) {
    const failure = toMortiseError(error);
    gets = failure.code;
    note = failure.message.replace(/^.*? of plugin "[^"]*": |;.*$/g, "");
  }
  check.expect(gets === wanted, `a request to ${path} ended with ${gets}: ${note}`);
  return { cells: [granted.length === 0 ? "nothing" : granted.join(", "), path, gets, milliseconds(performance.now() - began)], note };
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, HOST, resolve));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
