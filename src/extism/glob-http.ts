// HTTP for hosts that globs allow: the core's allow-list has none, so that each name that matches gets a list with its name.

import { isIP } from "node:net";
import { matchesGlob } from "node:path";

import type { HttpService } from "../api/http.ts";
import type { AllowedHosts } from "./allowed-hosts.ts";

/** Names whose services are kept. When there are more, the oldest that has nothing under way is closed. */
const MAX_NAMES = 64;

interface NamedService {
  readonly service: HttpService;
  underWay: number;
}

/**
 * A service for an allow-list with globs. They match names, never addresses nor `localhost`, and grant public addresses
 * only, as an entry with the name itself would. A redirect to another name has to be covered by an entry without a glob.
 *
 * @param create makes the service for a list without globs
 */
export function createGlobHttp({ entries, globs }: AllowedHosts, create: (hosts: readonly string[]) => HttpService): HttpService {
  const listed = create(entries);
  const byName = new Map<string, NamedService>();
  const serviceFor = (name: string): NamedService => {
    const found = byName.get(name);
    if (found !== undefined) return found;
    if (byName.size >= MAX_NAMES) closeOldest(byName);
    const made = { service: create([...entries, name]), underWay: 0 };
    byName.set(name, made);
    return made;
  };
  return {
    async request(request, call) {
      const name = nameOf(request.url);
      if (name === undefined || !globs.some((glob) => matchesGlob(name, glob))) return listed.request(request, call);
      const named = serviceFor(name);
      named.underWay++;
      try {
        return await named.service.request(request, call);
      } finally {
        named.underWay--;
      }
    },
    close() {
      listed.close();
      for (const { service } of byName.values()) service.close();
      byName.clear();
    },
  };
}

function closeOldest(byName: Map<string, NamedService>): void {
  for (const [name, { service, underWay }] of byName) {
    if (underWay > 0) continue;
    service.close();
    byName.delete(name);
    return;
  }
}

/** The host of a URL, if it is a name that a glob may match. */
function nameOf(url: string): string | undefined {
  const host = URL.canParse(url) ? new URL(url).hostname.replace(/\.$/, "") : "";
  const isLocal = host === "localhost" || host.endsWith(".localhost");
  return host === "" || isLocal || host.startsWith("[") || isIP(host) !== 0 ? undefined : host;
}
