// Clients of a gateway on bare sockets, which cost little enough that one process can have ten thousand: such that read whole
// answers, streams, or hardly anything.

import { type Socket, connect } from "node:net";

/** Where a client asks. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** What comes of many requests. */
export interface Tally {
  requests: number;
  /** By status; "broken" for answers that did not come whole. */
  readonly statuses: Record<string, number>;
}

const HEAD_END = "\r\n\r\n";

export function addressOf(url: string): Address {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}

function post(body: string, connection: "close" | "keep-alive"): string {
  const head = ["POST /v1/chat/completions HTTP/1.1", "host: 127.0.0.1", "content-type: application/json", `connection: ${connection}`];
  return [...head, `content-length: ${Buffer.byteLength(body)}`, "", body].join("\r\n");
}

/** Reads one stream to its end. @returns what is wrong with it; undefined for a whole one */
export function readStream(address: Address, body: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(address);
    let head = "";
    let tail = "";
    socket.setEncoding("latin1");
    socket.on("connect", () => socket.write(post(body, "close")));
    socket.on("data", (piece: string) => {
      if (head.length < 12) head += piece.slice(0, 12);
      tail = `${tail}${piece}`.slice(-64);
    });
    socket.on("error", (error) => resolve(error.message));
    socket.on("close", () => {
      if (!head.startsWith("HTTP/1.1 200")) resolve(head === "" ? "no answer" : `status ${head.slice(9, 12)}`);
      else if (!tail.includes("data: [DONE]\n\n") || !tail.endsWith(`0${HEAD_END}`)) resolve("it ended before its end");
      else resolve(undefined);
    });
  });
}

/** Opens a stream and reads so many bytes of it a second. Gives what ends it. */
export function readSlowly(address: Address, body: string, bytesPerSecond: number): { readonly socket: Socket; readonly leave: () => void } {
  const socket = connect(address);
  socket.on("error", () => {});
  socket.on("connect", () => socket.write(post(body, "close")));
  // A listener for what is readable keeps the socket from flowing by itself.
  socket.on("readable", () => {});
  const timer = setInterval(() => void socket.read(Math.min(bytesPerSecond, socket.readableLength)), 1000);
  const leave = (): void => {
    clearInterval(timer);
    socket.destroy();
  };
  return { socket, leave };
}

/**
 * Sends requests for whole answers over so many connections, each of which sends the next when it has its answer, until
 * `isOver`; a connection that is lost is made again.
 */
export async function sendRequests(
  address: Address,
  body: string,
  { connections, isOver, onAnswer }: { readonly connections: number; readonly isOver: () => boolean; readonly onAnswer?: (status: string) => void },
): Promise<Tally> {
  const tally: Tally = { requests: 0, statuses: {} };
  const request = post(body, "keep-alive");
  const answered = (status: string): void => {
    tally.requests++;
    tally.statuses[status] = (tally.statuses[status] ?? 0) + 1;
    onAnswer?.(status);
  };
  const connection = async (): Promise<void> => {
    while (!isOver()) await oneConnection(address, request, isOver, answered); // oxlint-disable-line no-await-in-loop -- one connection after the other
  };
  await Promise.all(Array.from({ length: connections }, connection));
  return tally;
}

/** Requests on one connection, until it is lost or all is over. */
function oneConnection(address: Address, request: string, isOver: () => boolean, answered: (status: string) => void): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ ...address, noDelay: true });
    let text = "";
    let isWaiting = false;
    const next = (): void => {
      if (isOver()) return void socket.destroy();
      isWaiting = true;
      socket.write(request);
    };
    socket.setEncoding("latin1");
    socket.on("connect", next);
    socket.on("error", () => {});
    socket.on("data", (piece: string) => {
      text += piece;
      const end = text.indexOf(HEAD_END);
      if (end < 0) return;
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(text.slice(0, end))?.[1] ?? Number.NaN);
      if (Number.isNaN(length)) return void socket.destroy(); // what has no length is none of the answers that are waited for
      if (text.length < end + HEAD_END.length + length) return;
      const status = text.slice(9, 12);
      text = "";
      isWaiting = false;
      answered(status);
      next();
    });
    socket.on("close", () => {
      if (isWaiting) answered("broken");
      resolve();
    });
  });
}
