// `mortise inspect`: says what a module is, or a manifest and its main module, without running any of it.

import { MortiseError } from "../index.ts";
import type { ResolvedManifest } from "../manifest/manifest.ts";
import { readManifest } from "../manifest/read-manifest.ts";
import { inspect } from "../wasm/index.ts";
import { EXIT, exitCodeOf, printFailure, toMortiseError } from "./failure.ts";
import { type ManifestDescription, describeManifest, describeModule } from "./inspect-report.ts";
import { jsonText } from "./terminal.ts";

/** As much as an engine takes; what Mortise would refuse is described as well. */
const MAX_BYTES = 1 << 30;

/** Runs the command and returns the exit code; a module that would be refused is a success: it was described. */
export async function inspectCommand(file: string, flags: { readonly json?: boolean }): Promise<number> {
  try {
    const manifest = await readManifest(file, { maxBytes: MAX_BYTES });
    const main = manifest.modules.find(({ name }) => name === "main");
    if (main === undefined) throw new MortiseError("MORTISE_INTERNAL", { reason: "a manifest without a main module" });
    const module = inspect(main.bytes, { source: main.source });
    const described = manifest.from === "module" ? undefined : descriptionOf(manifest);
    process.stdout.write(
      flags.json === true
        ? `${jsonText({ ok: true, file, ...module, ...(described === undefined ? {} : { manifest: described }) })}\n`
        : describeModule(file, module, described === undefined ? [] : describeManifest(described)),
    );
    return EXIT.ok;
  } catch (error) {
    const failure = toMortiseError(error);
    if (flags.json === true) process.stdout.write(`${jsonText({ ok: false, error: failure.toJSON() })}\n`);
    else printFailure(failure);
    return exitCodeOf(failure);
  }
}

function descriptionOf({ modules, allowedHosts, allowedPaths }: ResolvedManifest): ManifestDescription {
  return {
    modules: modules.map(({ name, source, bytes }) => ({ name, source, size: bytes.length })),
    hosts: allowedHosts,
    folders: allowedPaths.map(({ hostPath, guestPath, readOnly }) => ({ host: hostPath, guest: guestPath, readOnly })),
  };
}
