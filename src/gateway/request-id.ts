// Names of requests: those that clients give, if they are fit to be written anywhere, or new ones.

import { randomUUID } from "node:crypto";

const SANE = /^[\w.:-]{1,128}$/;

/** The name of a request. */
export function requestIdOf(given: string | undefined): string {
  return given !== undefined && SANE.test(given) ? given : randomUUID();
}
