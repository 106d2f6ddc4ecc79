// What this environment can do, in the terms of @extism/extism.

import { env } from "node:process";

/** Names of things that environments of the SDK differ in. */
export interface Capabilities {
  /** Host functions may return promises without a worker. */
  supportsJSPromiseInterface: boolean;
  /** Shared memory can be decoded and encoded as text without a copy. */
  allowSharedBufferCodec: boolean;
  /** Modules can be named by paths. */
  manifestSupportsPaths: boolean;
  /** The environment checks origins of HTTP requests, as browsers do. */
  crossOriginChecksEnforced: boolean;
  fsAccess: boolean;
  /** `runInWorker` works. */
  hasWorkerCapability: boolean;
  supportsWasiPreview1: boolean;
  /** `timeoutMs` works. */
  supportsTimeouts: boolean;
  /** EXTISM_ENABLE_WASI_OUTPUT is set; it counts where `enableWasiOutput` is left out. */
  extismStdoutEnvVarSet: boolean;
}

/** What is there on Node. */
export const CAPABILITIES: Capabilities = {
  supportsJSPromiseInterface: "Suspending" in WebAssembly,
  // As the package says of Node, though decoding works.
  allowSharedBufferCodec: false,
  manifestSupportsPaths: true,
  crossOriginChecksEnforced: false,
  fsAccess: true,
  hasWorkerCapability: true,
  supportsWasiPreview1: true,
  supportsTimeouts: true,
  extismStdoutEnvVarSet: Boolean(env["EXTISM_ENABLE_WASI_OUTPUT"]),
};
