// What a host and the thread or process that runs a plugin say to each other.
//
// A packet is a header, plain JSON, and sections of raw bytes. The host gives orders; the child carries out one at a
// time and reports. While an order runs the child may ask: it then waits, and the host answers exactly once. While the
// host has an answer to give, it may have the child operate on the plugin's blocks; each operation has one result.
//
//   order:  load → done            create → done            call → done            drop → done            warm (no report)
//   during: log, output (no answer);  host | http | stdin → answer, with operate → result in between
//
// Reports come from where the guest runs. A child process may be in the guest's hands, so that reports are checked
// field by field (report.ts) before anything acts on them. Orders come from the host and are trusted.
// Changes of variables travel at the end of a packet's sections: `variables` lists the names, and for each that still
// exists one section follows those that the packet has for itself.

import type { WasmAbi } from "../wasm/detect.ts";
import type { PathGrant, WasiOptions } from "../wasi/options.ts";

/** A value of a host function; what JSON cannot hold is text: `"5n"` for a bigint, `"-0"`, `"NaN"`, `"Infinity"`. */
export type WireValue = number | string;

/** A {@link MortiseError} as plain data. */
export interface WireError {
  readonly code: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** Name of a variable, and 1 if a section has its value or 0 if it was deleted. */
export type VariableChange = readonly [name: string, kept: 0 | 1];

interface WithVariables {
  readonly variables?: readonly VariableChange[];
}

/** What of WASI's options is plain data, and which of the others are functions that the host keeps. */
export interface WireWasi extends Omit<WasiOptions, "stdin" | "stdout" | "stderr" | "outputBytes" | "files" | "fileBytes" | "random" | "now"> {
  readonly outputBytes?: WireValue;
  readonly fileBytes?: WireValue;
  /** Text, base64 of bytes, or true for a function. */
  readonly stdin?: string | { readonly base64: string } | true;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly files?: Readonly<Record<string, string | { readonly base64: string }>>;
}

/** A granted folder, whose quota is in {@link LoadOrder.allowances}. */
export type WirePathGrant = Exclude<PathGrant, object> | Omit<Exclude<PathGrant, string>, "maxBytes">;

/** What the child needs to know of a plugin; `modules` are names; one section for each of `modules`. */
export interface LoadOrder {
  readonly type: "load";
  readonly id: number;
  readonly name: string;
  readonly abi: WasmAbi;
  readonly modules: readonly string[];
  readonly limits: Readonly<Record<string, WireValue>>;
  readonly config: readonly (readonly [key: string, value: string])[];
  readonly configJson: string;
  /** Module and name of each host function; a `host` report gives the index in this list. */
  readonly functions: readonly (readonly [module: string, name: string])[];
  /** Severity of the least severe log lines wanted; undefined if nobody reads them. */
  readonly logLevel?: number;
  /** Set if somebody performs HTTP requests. */
  readonly http?: { readonly showsHeaders: boolean };
  /** Garbage-collected heaps are allowed: the wall around this child contains them. */
  readonly gc: boolean;
  readonly wasi: WireWasi;
  readonly paths: Readonly<Record<string, WirePathGrant>>;
  /** What is left of each folder's quota for this place: bytes and names, in the order of `paths`. */
  readonly allowances: readonly (readonly [bytes: WireValue, entries: number])[];
}

/** Makes a new instance in the place of the present one. */
export interface CreateOrder extends WithVariables {
  readonly type: "create";
  readonly id: number;
  readonly timeoutMs: number;
}

/** Calls an export. The input is `text`, or one section, or nothing. */
export interface CallOrder extends WithVariables {
  readonly type: "call";
  readonly id: number;
  readonly entry: string;
  readonly timeoutMs: number;
  readonly statedMs: number;
  /** Cost units that it may use, if that is less than limits.fuel. */
  readonly fuel?: number;
  readonly text?: string;
  readonly bytes?: true;
}

/** Makes the engine compile the loader, in a place that nobody needs yet. */
export interface WarmOrder {
  readonly type: "warm";
}

/** Frees the instance, after the guest has cleaned up. */
export interface DropOrder extends WithVariables {
  readonly type: "drop";
  readonly id: number;
}

/** How a host function, an HTTP request or a read of standard input ended. */
export interface Answer extends WithVariables {
  readonly type: "answer";
  readonly id: number;
  /** The result of a host function; for one that is no number, the name of its type. */
  readonly value?: WireValue;
  readonly valueType?: string;
  /** It failed for this reason. */
  readonly failed?: string;
  /** A coded failure: of an HTTP request. */
  readonly error?: WireError;
  /** It used up the call stack. */
  readonly overflow?: true;
  /** The call is to end: its time is over, or nobody wants it any more. */
  readonly stopped?: true;
  /** Cost units that were used for the call. */
  readonly charge?: number;
  /** An HTTP response; its body is a section, as are the bytes of standard input. */
  readonly response?: { readonly status: number; readonly headers: Readonly<Record<string, string>> };
  /** Bit n is set if the host read the block at the n-th argument, so that the next call should bring it along. */
  readonly wanted?: number;
}

/** Operations on the plugin's blocks and variables, as {@link CallContext} has them. */
export const OPERATIONS = ["read", "length", "write", "store", "alloc", "free", "setError", "setVariable"] as const;
/** One of {@link OPERATIONS}. */
export type OperationName = (typeof OPERATIONS)[number];

/** One operation; what it stores is a section. */
export interface OperateOrder {
  readonly type: "operate";
  readonly operation: OperationName;
  /** Address of a block, or the size of a new one. */
  readonly address?: WireValue;
  /** Bytes to read, where the address does not tell. */
  readonly length?: number;
  readonly name?: string;
  /** True if there is a section with data. */
  readonly data?: true;
}

export type Order = LoadOrder | CreateOrder | CallOrder | WarmOrder | DropOrder | Answer | OperateOrder;

/** The child is up. */
export interface BootedReport {
  readonly type: "booted";
}

/** An order was carried out, or failed. The output of a call is a section. */
export interface DoneReport extends WithVariables {
  readonly type: "done";
  readonly id: number;
  readonly error?: WireError;
  readonly output?: true;
  readonly fuel: number;
  readonly inputBytes: number;
  readonly memoryBytes: number;
  readonly droppedLogs: number;
  readonly poisoned: boolean;
  /** Bytes and names that this place has added to each granted folder; absent without folders. */
  readonly quotas?: readonly (readonly [bytes: number, entries: number])[];
}

/** The guest calls a host function. A section for each of `blocks`, the indexes of arguments that are their addresses. */
export interface HostReport extends WithVariables {
  readonly type: "host";
  readonly id: number;
  readonly index: number;
  readonly values: readonly WireValue[];
  readonly blocks?: readonly number[];
  /** Cost units that are left to the call, if there is a limit. */
  readonly fuel?: number;
}

/** The guest sends an HTTP request: a section with its JSON and, if `body` is set, one with its body. */
export interface HttpReport extends WithVariables {
  readonly type: "http";
  readonly id: number;
  readonly body?: true;
  readonly timeoutMs: number;
}

/** The guest reads its standard input. */
export interface StdinReport {
  readonly type: "stdin";
  readonly id: number;
  readonly maxBytes: number;
}

/** A log line. */
export interface LogReport {
  readonly type: "log";
  readonly level: number;
  readonly message: string;
}

/** Bytes for standard output (1) or standard error (2), in a section. */
export interface OutputReport {
  readonly type: "output";
  readonly stream: 1 | 2;
}

/** What an operation gave: a number, an address, bytes in a section, or an error. */
export interface ResultReport extends WithVariables {
  readonly type: "result";
  readonly value?: WireValue;
  readonly bytes?: true;
  readonly error?: WireError;
}

export type Report = BootedReport | DoneReport | HostReport | HttpReport | StdinReport | LogReport | OutputReport | ResultReport;

/** Raw bytes of a packet; whoever sends them gives them away. */
export type Section = Uint8Array<ArrayBuffer>;

/** A header and its sections. */
export interface Packet<Header> {
  readonly header: Header;
  readonly sections: readonly Section[];
}

/** What is not a packet, or none that may come now; whoever sends such a thing is ended. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

/** Bytes that a header may have. */
export const MAX_HEADER_BYTES = 1 << 20;
/** Sections that a packet may have; each variable that changed takes one. */
export const MAX_SECTIONS = 1 << 16;
/** Longest text that travels in the header; a longer one is cheaper as bytes. */
export const SHORT_TEXT = 512;
/** Longest block that travels along with a host call next time. */
export const SHIPPED_BLOCK_BYTES = 1 << 16;
