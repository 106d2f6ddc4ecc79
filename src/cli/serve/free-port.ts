// Finds a port that can be listened at.

import { createServer } from "node:net";

import { listenError } from "./server.ts";

/** Ports after the one that is wanted which are tried. */
const TRIES = 20;

/**
 * The port that is wanted, or the next one that is free.
 *
 * @throws MortiseError MORTISE_LISTEN if none of them is, or for an address that cannot be listened at
 */
export async function freePort(host: string, wanted: number): Promise<number> {
  let failed: unknown;
  for (let port = wanted; port < wanted + TRIES; port++) {
    const error = await tryPort(host, port); // oxlint-disable-line no-await-in-loop -- the first that is free
    if (error === undefined) return port;
    failed ??= listenError(error, host, wanted);
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") break;
  }
  throw failed;
}

/** Why a port cannot be listened at; undefined if it can. */
function tryPort(host: string, port: number): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", resolve);
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}
