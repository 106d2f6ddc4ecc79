// Carries requests with undici: connects only to addresses that were checked, and trusts nothing ambient.

import { Connections, keyOf } from "./connections.ts";
import { Exchange, type Wire } from "./exchange.ts";
import type { RequestLookup } from "./name-lookup.ts";
import type { Head, Transport } from "./transport.ts";

/** What the transport needs of the service's options. */
export interface UndiciTransportOptions {
  readonly maxResponseBytes: number;
  readonly maxHeaderBytes: number;
  /** Connections at a time, idle ones included. */
  readonly maxConnections: number;
  readonly ca: string | readonly string[] | undefined;
  readonly lookup: RequestLookup;
}

/** A transport with connections of its own. */
export function undiciTransport(options: UndiciTransportOptions): Transport {
  const { maxResponseBytes, maxHeaderBytes } = options;
  const connections = new Connections(options);
  const parts = { connections, maxResponseBytes, maxHeaderBytes };
  const wires = new WeakMap<Head, Wire>();
  const wireOf = (head: Head): Wire => {
    const known = wires.get(head);
    if (known !== undefined) return known;
    const { url, method, headers } = head;
    const wire = { key: keyOf(head), path: `${url.pathname}${url.search}`, method, fields: headers.flat() };
    wires.set(head, wire);
    return wire;
  };
  return {
    exchange: (request, passage) => {
      const exchange = new Exchange(request, wireOf(request.head), passage, parts);
      exchange.begin();
      return exchange.promise;
    },
    close: () => connections.close(),
  };
}
