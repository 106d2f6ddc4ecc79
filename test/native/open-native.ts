// What tests of native plugins share: files in a folder of their own, and plugins made of them.

import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

import type { Logger } from "../../src/abi/guest.ts";
import { type Limits, resolveLimits } from "../../src/api/limits.ts";
import type { ServiceTable } from "../../src/api/services.ts";
import { Plugin } from "../../src/host/plugin.ts";
import { compileNative } from "../../src/native/compile-native.ts";
import { type NativeGrant, sha256 } from "../../src/native/grants.ts";

const NATIVE = join(import.meta.dirname, "..", "..", "guests", "native");

/** The plugin as an ES module, and the two addons. */
export const MODULE: string = join(NATIVE, "echo.mjs");
export const C_ADDON: string = join(NATIVE, "prebuilt", "echo.linux-x64.node");
export const RUST_ADDON: string = join(NATIVE, "prebuilt", "rust-addon.linux-x64.node");

/** Why the prebuilt addons cannot run here; false if they can. */
export const NO_ADDONS: string | false =
  process.platform === "linux" && process.arch === "x64" && isGlibc() ? false : "the prebuilt addons are for Linux on x64 with glibc";

function isGlibc(): boolean {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime !== undefined;
}

/** A folder that is removed after the test. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "native-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A file with a text or bytes in a folder of its own. */
export function temporaryFile(t: TestContext, name: string, content: string | Uint8Array): string {
  const path = join(temporaryFolder(t), name);
  writeFileSync(path, content);
  return path;
}

/** A copy of a file in a folder of its own. */
export function temporaryCopy(t: TestContext, from: string, name: string): string {
  const path = join(temporaryFolder(t), name);
  copyFileSync(from, path);
  return path;
}

/** What allows a file as it is now. */
export function grantFor(path: string): NativeGrant {
  return { path, digest: sha256(readFileSync(path)) };
}

/** How a plugin is opened. */
export interface OpenOptions {
  readonly allow?: readonly NativeGrant[];
  readonly digest?: string;
  readonly limits?: Limits;
  readonly config?: Readonly<Record<string, string>>;
  readonly services?: ServiceTable;
  readonly logger?: Logger;
  readonly logLevel?: number;
  readonly clock?: () => number;
  readonly instances?: number;
}

/** Opens a native plugin named "guest", allowed as it is unless `allow` says otherwise; closed after the test. */
export async function openNative(t: TestContext, path: string, options: OpenOptions = {}): Promise<Plugin> {
  const { allow = [grantFor(path)], limits, config = {}, services, logger, logLevel = 2, clock = () => performance.now() } = options;
  const state = {
    name: "guest",
    limits: resolveLimits(limits),
    config: new Map(Object.entries(config)),
    configJson: JSON.stringify(config),
    variables: new Map(),
    variableBytes: 0,
    logger,
    logLevel,
    hostFunctions: {},
    provided: {},
    http: undefined,
    wasi: { close: () => {} } as never,
    clock,
    droppedLogs: 0,
    services,
  };
  const made = await compileNative(path, { allow, state, digest: options.digest });
  const never = Number.POSITIVE_INFINITY;
  const pool = { maxInstances: options.instances ?? 1, recycleCalls: never, recycleBytes: never, idleMs: never };
  const plugin = await Plugin.create({ abi: "native", state, ...made, pool, isolation: "inline", release: () => {} });
  t.after(() => plugin.close({ abort: true }));
  return plugin;
}

/** A logger that keeps its lines as `level text`. */
export function recorder(): { readonly logger: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  const keep = (level: string) => (text: string) => void lines.push(`${level} ${text}`);
  return { logger: { trace: keep("trace"), debug: keep("debug"), info: keep("info"), warn: keep("warn"), error: keep("error") }, lines };
}
