// Options of createPlugin, as @extism/extism names them.

import type { CallContext } from "./call-context.ts";

/** Levels of logs, least severe first; `silent` logs nothing. */
export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "silent";

/** Configuration of a plugin, text by text. */
export type PluginConfig = Record<string, string>;

/** Configuration of a plugin, text by text. */
export interface PluginConfigLike {
  [key: string]: string;
}

/** Limits of a plugin's memory. */
export interface MemoryOptions {
  /** Pages of 64 KiB of all memories together: the plugin's own, and the one for input, output and blocks. @default 65,536 */
  maxPages?: number | undefined;
  /** Bytes of one HTTP response. @default 50 MiB */
  maxHttpResponseBytes?: number | undefined;
  /** Bytes of all variables together, each counted with its name and 48 bytes; 0 forbids them. @default 1 MiB */
  maxVarBytes?: number | undefined;
}

/** Accepted so that code which sets them compiles; a worker needs none of them. */
export interface NodeWorkerArgs {
  name?: string;
  execArgv?: string[];
  argv?: string[];
  env?: Record<string, string>;
  resourceLimits?: {
    maxOldGenerationSizeMb?: number;
    maxYoungGenerationSizeMb?: number;
    codeRangeSizeMb?: number;
    stackSizeMb?: number;
  };
  [key: string]: unknown;
}

/** Options of createPlugin; docs/extism-sdk.md compares each with the package. */
export interface ExtismPluginOptions {
  /** Lets the plugin import WASI. @default false */
  useWasi?: boolean;
  /** Runs the plugin in a thread of its own. @default false */
  runInWorker?: boolean;
  /** Receives log lines. @default console, if `logLevel` is given */
  logger?: Console;
  /** Least severe level that is logged. @default "silent" */
  logLevel?: LogLevel;
  /** Functions that the plugin may import, by module and name; they may return promises. @default none */
  functions?:
    | {
        // oxlint-disable-next-line typescript/no-explicit-any -- parameters and results are the plugin's business; code for the SDK states its own
        [module: string]: { [name: string]: (callContext: CallContext, ...args: any[]) => any };
      }
    | undefined;
  /** Path of the guest to path of this machine, the latter with `ro:` in front for reading only. @default none */
  allowedPaths?: { [guestPath: string]: string } | undefined;
  /** Hosts that HTTP requests may go to: names, `*.name`, `*`, addresses, each with or without a port, and globs over names. @default none */
  allowedHosts?: string[] | undefined;
  memory?: MemoryOptions;
  /** Milliseconds that a call may take; 0 or null for any time. @default any time */
  timeoutMs?: number | null;
  /** Passes standard output and error of the plugin on. @default true if EXTISM_ENABLE_WASI_OUTPUT is set */
  enableWasiOutput?: boolean;
  /** Configuration that the plugin may read. @default that of the manifest */
  config?: PluginConfigLike;
  /** Carries HTTP requests of the plugin, and gets modules and manifests from URLs. @default the host's own, and the global fetch */
  fetch?: typeof fetch;
  /** Accepted and not needed. */
  sharedArrayBufferSize?: number;
  /** Lets the plugin read headers of HTTP responses. @default false */
  allowHttpResponseHeaders?: boolean;
  /** Accepted and not needed. */
  nodeWorkerArgs?: NodeWorkerArgs;
}
