// HTTP for hosts that globs allow: the core's allow-list has none, so that each name that matches gets a list with its name.

import type { HttpCall, HttpService } from "../api/http.ts";
import { failureReport } from "../services/http/failures.ts";
import { hostOf, isHostName, readTarget } from "../services/http/target.ts";
import type { AllowedHosts } from "./allowed-hosts.ts";
import { hostGlob } from "./host-glob.ts";

/** Names that have services. For one more, the oldest that has nothing under way is closed. */
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
  const matchers = globs.map(hostGlob);
  const byName = new Map<string, NamedService>();
  let closed = false;
  const serviceFor = (name: string, target: URL, call: HttpCall): NamedService => {
    const found = byName.get(name);
    if (found !== undefined) return found;
    if (byName.size >= MAX_NAMES && !closeOldest(byName)) throw failureReport(call).failed(target, `requests to ${MAX_NAMES} hosts are under way`);
    const made = { service: create([...entries, name]), underWay: 0 };
    byName.set(name, made);
    return made;
  };
  return {
    async request(request, call) {
      const target = readTarget(request.url);
      const name = typeof target === "string" ? undefined : nameOf(target);
      // The service of the list says what is wrong with a URL, and that it is closed.
      if (closed || typeof target === "string" || name === undefined || !matchers.some((matches) => matches(name)))
        return listed.request(request, call);
      const named = serviceFor(name, target, call);
      named.underWay++;
      try {
        return await named.service.request(request, call);
      } finally {
        named.underWay--;
      }
    },
    close() {
      closed = true;
      listed.close();
      for (const { service } of byName.values()) service.close();
      byName.clear();
    },
  };
}

/** False if all have something under way. */
function closeOldest(byName: Map<string, NamedService>): boolean {
  for (const [name, { service, underWay }] of byName) {
    if (underWay > 0) continue;
    service.close();
    byName.delete(name);
    return true;
  }
  return false;
}

/** The host of a URL, if it is a name that a glob may match. */
function nameOf(target: URL): string | undefined {
  const host = hostOf(target);
  const isLocal = host === "localhost" || host.endsWith(".localhost");
  return isHostName(host) && !isLocal ? host : undefined;
}
