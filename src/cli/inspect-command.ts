// `mortise inspect`: says what a module is, or a manifest and its main module, without running any of it.

import { MortiseError, loadPlugin } from "../index.ts";
import { isArtefact, readBeside } from "../loader/helios.ts";
import { type HeliosManifest, readHelios } from "../manifest/helios-source.ts";
import type { ResolvedManifest } from "../manifest/manifest.ts";
import { readManifest } from "../manifest/read-manifest.ts";
import { isNativePath } from "../native/compile-native.ts";
import { type WasmAbi, inspect } from "../wasm/index.ts";
import { EXIT, exitCodeOf, printFailure, toMortiseError } from "./failure.ts";
import { type ManifestDescription, describeHelios, describeManifest, describeModule, describeNative, heliosJson } from "./inspect-report.ts";
import { jsonText } from "./terminal.ts";

/** As much as an engine takes; what Mortise would refuse is described as well. */
const MAX_BYTES = 1 << 30;

/** Options of the command as commander gives them. */
export interface InspectFlags {
  readonly json?: boolean;
  readonly abi?: WasmAbi;
}

/** Runs the command and returns the exit code; a module that would be refused is a success: it was described. */
export async function inspectCommand(file: string, flags: InspectFlags): Promise<number> {
  try {
    if (isNativePath(file)) return await inspectNative(file, flags);
    const { bytes, source, manifest, helios } = await readMain(file);
    const module = inspect(bytes, { source, ...(flags.abi === undefined ? {} : { abi: flags.abi }) });
    const notes = [...(manifest === undefined ? [] : describeManifest(manifest)), ...(helios === undefined ? [] : describeHelios(helios))];
    const more = { ...(manifest === undefined ? {} : { manifest }), ...(helios === undefined ? {} : { helios: heliosJson(helios) }) };
    process.stdout.write(flags.json === true ? `${jsonText({ ok: true, file, ...module, ...more })}\n` : describeModule(file, module, notes));
    return EXIT.ok;
  } catch (error) {
    const failure = toMortiseError(error);
    if (flags.json === true) process.stdout.write(`${jsonText({ ok: false, error: failure.toJSON() })}\n`);
    else printFailure(failure);
    return exitCodeOf(failure);
  }
}

/** The module that a file holds, or that its manifest names first, and what is said of it. */
async function readMain(file: string): Promise<{
  readonly bytes: Uint8Array;
  readonly source: string;
  readonly manifest?: ManifestDescription;
  readonly helios?: HeliosManifest;
}> {
  if (isArtefact(file)) {
    const { wasm, manifest: helios } = await readHelios(file, { maxBytes: MAX_BYTES });
    return { bytes: wasm, source: file, ...(helios === undefined ? {} : { helios }) };
  }
  const manifest = await readManifest(file, { maxBytes: MAX_BYTES });
  const main = manifest.modules.find(({ name }) => name === "main");
  if (main === undefined) throw new MortiseError("MORTISE_INTERNAL", { reason: "a manifest without a main module" });
  const { bytes, source } = main;
  if (manifest.from !== "module") return { bytes, source, manifest: descriptionOf(manifest) };
  const helios = inspect(bytes, { source }).interface.name === "helios" ? await readBeside(file, bytes) : undefined;
  return { bytes, source, ...(helios === undefined ? {} : { helios }) };
}

/** Says what a native plugin is, and what would allow it; nothing of it runs. */
async function inspectNative(file: string, flags: { readonly json?: boolean }): Promise<number> {
  const refusal = await loadPlugin(file).then(
    (plugin) => plugin.close().then(() => undefined),
    (error: unknown) => toMortiseError(error),
  );
  if (refusal?.code !== "MORTISE_NATIVE_REFUSED")
    throw refusal ?? new MortiseError("MORTISE_INTERNAL", { reason: "a native plugin that nothing allows was loaded" });
  const { reason, grant } = refusal.details as { readonly reason: string; readonly grant?: string };
  process.stdout.write(
    flags.json === true ? `${jsonText({ ok: true, file, interface: { name: "native" }, reason, grant })}\n` : describeNative(file, reason, grant),
  );
  return EXIT.ok;
}

function descriptionOf({ modules, allowedHosts, allowedPaths }: ResolvedManifest): ManifestDescription {
  return {
    modules: modules.map(({ name, source, bytes }) => ({ name, source, size: bytes.length })),
    hosts: allowedHosts,
    folders: allowedPaths.map(({ hostPath, guestPath, readOnly }) => ({ host: hostPath, guest: guestPath, readOnly })),
  };
}
