// What is kept of a decision, and how entries are chained.

import { createHash, createHmac } from "node:crypto";

import type { DecisionEvent } from "../../api/channels.ts";

/** What a plugin did: stopped a request, changed it, answered it, said where it goes, or changed its attributes alone. */
export type AuditKind = "block" | "rewrite" | "answer" | "route" | "attributes";

/** One decision. */
export interface AuditDecision {
  readonly kind: AuditKind;
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly hook: string;
  readonly plugin: string;
  readonly version: string;
  readonly digest: string;
  readonly function: string;
  readonly request: string;
  readonly reason?: string;
  readonly target?: string;
  readonly changed?: readonly string[];
  readonly attributes?: readonly string[];
}

/** What happened to the log itself: entries that could not be kept, or the rest of one that was cut off by a crash. */
export interface AuditNotice {
  readonly kind: "lost" | "recovered";
  readonly time: string;
  /** Entries that were lost, or bytes that were cut off. */
  readonly count: number;
  readonly reason: string;
}

/** Anything that is kept. */
export type AuditRecord = AuditDecision | AuditNotice;

/** Place of an entry in its chain. */
export interface AuditLink {
  /** Number of the entry, one more than that of the one before. */
  readonly seq: number;
  /** Hash of the entry before; of the first one 64 zeros. */
  readonly prev: string;
  readonly hash: string;
}

/** An entry as a sink keeps it. */
export type AuditEntry = AuditRecord & AuditLink;

/** Where a chain begins. */
export const CHAIN_START: { readonly seq: number; readonly hash: string } = Object.freeze({ seq: 0, hash: "0".repeat(64) });

const KINDS: Readonly<Record<DecisionEvent["action"], AuditKind>> = {
  reject: "block",
  replace: "rewrite",
  answer: "answer",
  continue: "attributes",
};
const ROUTE_FUNCTION = "route";
const MAX_NAME_CHARS = 256;

/** The record of a decision. */
export function recordOf(event: DecisionEvent, time: string): AuditDecision {
  const { action, hook, plugin, version, digest, function: fn, request, reason, target, changed, attributes } = event;
  return {
    kind: action === "answer" && fn === ROUTE_FUNCTION ? "route" : KINDS[action],
    time,
    hook: bounded(hook),
    plugin: bounded(plugin),
    version: bounded(version),
    digest,
    function: bounded(fn),
    request: bounded(request),
    ...(reason !== undefined && { reason }),
    ...(target !== undefined && { target }),
    ...(changed !== undefined && { changed }),
    ...(attributes !== undefined && { attributes }),
  };
}

/** Names come from operators and clients: none may fill the log. */
export const bounded = (text: string): string => (text.length <= MAX_NAME_CHARS ? text : `${text.slice(0, MAX_NAME_CHARS)}…`);

/**
 * One line of JSON: the record with its place, and at the end its hash, which is taken over all of the line before it.
 *
 * @param key makes the hash one that only who knows the key can make: SHA-256 without, HMAC-SHA-256 with it
 */
export function lineOf(
  record: AuditRecord,
  { seq, hash: prev }: { readonly seq: number; readonly hash: string },
  key: string | undefined,
): ChainedLine {
  const hashed = JSON.stringify({ seq: seq + 1, ...record, prev });
  const hash = hashOf(hashed, key);
  return { seq: seq + 1, hash, text: `${hashed.slice(0, -1)},"hash":"${hash}"}` };
}

/** A line and its place. */
export interface ChainedLine {
  readonly seq: number;
  readonly hash: string;
  /** Without a line break. */
  readonly text: string;
}

const HASH_AT_END = /,"hash":"([0-9a-f]{64})"\}$/;

/** What is wrong with a line by itself, or the entry. The bytes count, not what they mean: nothing of a line can be changed. */
export function readLine(text: string, key: string | undefined): AuditEntry | string {
  const found = HASH_AT_END.exec(text);
  if (found === null) return "it does not end with a hash";
  if (hashOf(`${text.slice(0, found.index)}}`, key) !== found[1]) return "its hash is not that of its content";
  let entry: unknown;
  try {
    entry = JSON.parse(text);
  } catch {
    return "it is not JSON";
  }
  return isEntry(entry) ? entry : "it is no entry of an audit log";
}

function isEntry(value: unknown): value is AuditEntry {
  if (typeof value !== "object" || value === null) return false;
  const { seq, prev, time, kind } = value as Partial<Record<keyof AuditEntry, unknown>>;
  return Number.isSafeInteger(seq) && typeof prev === "string" && typeof time === "string" && typeof kind === "string";
}

function hashOf(text: string, key: string | undefined): string {
  const hash = key === undefined ? createHash("sha256") : createHmac("sha256", key);
  return hash.update(text).digest("hex");
}
