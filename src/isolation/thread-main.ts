// Where a worker thread that runs plugins starts.

import { receiveMessageOnPort, workerData } from "node:worker_threads";

import { serve } from "./child.ts";
import type { Link } from "./place.ts";
import type { Order, Packet, Section } from "./protocol.ts";
import { type ThreadStart, WORDS, movable } from "./thread-shared.ts";

const { port, words } = workerData as ThreadStart;

/** Reads the port without the event loop. */
const link: Link = {
  send(header, sections = []) {
    port.postMessage([JSON.stringify(header), ...sections], movable(sections));
    Atomics.add(words, WORDS.toHost, 1);
    Atomics.notify(words, WORDS.toHost);
  },
  receive() {
    for (;;) {
      // Read before the port: a packet that comes in between changes the count, and the wait below does not begin.
      const sent = Atomics.load(words, WORDS.toChild);
      const received: { message: unknown } | undefined = receiveMessageOnPort(port);
      if (received !== undefined) {
        const [header, ...sections] = received.message as [string, ...Section[]];
        return { header: JSON.parse(header) as Order, sections } satisfies Packet<Order>;
      }
      Atomics.wait(words, WORDS.toChild, sent);
    }
  },
  interrupted: (id) => id !== 0 && Atomics.load(words, WORDS.interrupt) === (id | 0),
};

await serve(link);
