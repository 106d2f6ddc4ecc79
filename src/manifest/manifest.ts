// What a user may name as a plugin's source, and what reading it gives.

import type { Origin } from "./place.ts";

/** Text, or nothing: `null` counts as absent wherever a key may be left out. */
type Optional<T> = T | null | undefined;

/** Limits of a manifest, in either spelling. */
export interface ManifestMemory {
  /** Pages of 64 KiB that all memories together may have. */
  readonly maxPages?: Optional<number>;
  readonly max_pages?: Optional<number>;
  /** Bytes of one HTTP response. */
  readonly maxHttpResponseBytes?: Optional<number>;
  readonly max_http_response_bytes?: Optional<number>;
  /** Bytes of all variables together. */
  readonly maxVarBytes?: Optional<number>;
  readonly max_var_bytes?: Optional<number>;
}

/** What every module of a manifest may carry. */
interface ModuleNotes {
  /** Name that other modules import it by. @default see docs/manifest.md */
  readonly name?: Optional<string>;
  /** SHA-256 of the module's bytes, 64 hexadecimal digits in either case. */
  readonly hash?: Optional<string>;
}

/** One module of a manifest: exactly one of path, url, data, response and module says where it comes from. */
export type ManifestModule = ModuleNotes &
  (
    | { /** File, relative to the manifest's folder. */ readonly path: string }
    | {
        /** Address of the module: `http:`, `https:` or `file:`. */
        readonly url: string | URL;
        readonly headers?: Optional<Readonly<Record<string, string>>>;
        /** @default "GET" */
        readonly method?: Optional<string>;
      }
    | { /** The bytes, or base64 of them. */ readonly data: string | Uint8Array | ArrayBuffer }
    | { /** An answer of `fetch` that was not read yet. */ readonly response: Response }
    | { /** Refused: a compiled module cannot be instrumented. */ readonly module: WebAssembly.Module }
  );

/** A manifest as Extism has it, in camel case, in snake case, or in both. */
export interface Manifest {
  /** Modules that make up the plugin, 64 at most. */
  readonly wasm: readonly ManifestModule[];
  readonly memory?: Optional<ManifestMemory>;
  /** Hosts that HTTP requests may go to. @default none */
  readonly allowedHosts?: Optional<readonly string[]>;
  readonly allowed_hosts?: Optional<readonly string[]>;
  /** Path of this machine, with `ro:` in front for reading only, to path of the guest. @default none */
  readonly allowedPaths?: Optional<Readonly<Record<string, string>>>;
  readonly allowed_paths?: Optional<Readonly<Record<string, string>>>;
  /** Configuration that the plugin may read. @default empty */
  readonly config?: Optional<Readonly<Record<string, string>>>;
  /** Milliseconds that a call may take. */
  readonly timeoutMs?: Optional<number>;
  readonly timeout_ms?: Optional<number>;
}

/** What {@link ManifestSource} may be, once it is there. */
type Source = string | URL | Uint8Array | ArrayBuffer | Response | WebAssembly.Module | Manifest;

/**
 * A plugin's source: path, URL, bytes, text of a manifest, manifest, answer of `fetch`, or a promise of one. What a file,
 * an answer or bytes hold, a module or a manifest in JSON or TOML, is told from the content.
 */
export type ManifestSource = Source | PromiseLike<Source>;

/** Options of readManifest. */
export interface ReadManifestOptions {
  /** Bytes that all modules together may have. */
  readonly maxBytes: number;
  /** Ends the reading. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds that all of the reading may take, downloads included. @default 30,000 */
  readonly timeoutMs?: number | undefined;
  /** Makes the requests. @default the global fetch */
  readonly fetch?: typeof fetch | undefined;
  /** What the keys of allowedPaths are: paths of this machine, or of the guest as `@extism/extism` has it. @default "host" */
  readonly allowedPathKeys?: "host" | "guest" | undefined;
}

/** A module that was read, and whose digest was checked if the manifest gives one. */
export interface ResolvedModule {
  /** `main`, or the name that other modules import it by; unique in its manifest. */
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where it came from, for messages; never holds credentials. */
  readonly source: string;
}

/** A folder that the plugin may use. */
export interface AllowedPath {
  /** Absolute path of this machine. */
  readonly hostPath: string;
  readonly guestPath: string;
  readonly readOnly: boolean;
}

/** A manifest that was read and checked; what it does not set is undefined or empty. */
export interface ResolvedManifest {
  /** Name for the plugin: that of the file or URL without its extension, else `plugin`. */
  readonly name: string;
  /** Who set what it sets: nobody, since it is a module alone; somebody on this machine; or a server. */
  readonly from: "module" | "local" | "network";
  /** Where it came from, for messages. */
  readonly origin: Origin;
  /** One is named `main`. */
  readonly modules: readonly ResolvedModule[];
  readonly memory: {
    readonly maxPages: number | undefined;
    readonly maxHttpResponseBytes: number | undefined;
    readonly maxVarBytes: number | undefined;
  };
  readonly allowedHosts: readonly string[];
  readonly allowedPaths: readonly AllowedPath[];
  /** Has no prototype. */
  readonly config: Readonly<Record<string, string>>;
  readonly timeoutMs: number | undefined;
}
