// The page that `mortise inspect` prints.

import type { Interface, ModuleDescription, ModuleItem } from "../wasm/index.ts";
import type { HeliosManifest } from "../manifest/helios-source.ts";
import type { FolderGrant } from "./option-values.ts";
import { bytes, count, plural } from "./quantities.ts";
import { alignRows } from "./table.ts";
import { type Paint, columnsOf, paint, visible, wrap } from "./terminal.ts";

const LABEL_WIDTH = 11;
const PAGE = 65_536;

/** Who provides the imports of a module. */
const PROVIDERS: Readonly<Record<string, string>> = {
  "extism:host/env": "provided: the Extism interface",
  wasi_snapshot_preview1: "provided: WASI without files, environment and network",
  "mortise:host": "provided: services, as permissions allow",
};
/** Modules of which an interface provides functions, with what it calls them. */
const PROVIDED_BY: Readonly<Partial<Record<Interface, readonly [modules: ReadonlySet<string>, provider: string]>>> = {
  helios: [new Set(["env", "helios", "query", "cache", "http", "crypto", "kv"]), "provided: HeliosProxy's functions, as permissions allow"],
  bifrost: [new Set(["env"]), "provided: what AssemblyScript's library needs"],
  querymt: [new Set(["extism:host/user"]), "provided: QueryMT's functions, as permissions allow"],
};

const colour = (format: Paint, text: string): string => paint(process.stdout, format, text);

/** What a manifest is made of, and what it asks for. */
export interface ManifestDescription {
  readonly modules: readonly { readonly name: string; readonly source: string; readonly size: number }[];
  readonly hosts: readonly string[];
  readonly folders: readonly FolderGrant[];
}

/** A module's description as lines of text; `manifest` is {@link describeManifest} of its manifest. */
export function describeModule(file: string, module: ModuleDescription, manifest: readonly string[] = []): string {
  const blocks = [
    [colour("bold", visible(file)), ...manifest],
    summary(module),
    section("imports", module.imports.length, imports(module)),
    section("exports", module.exports.length, exports(module)),
    section("custom sections", module.customSections.length, customSections(module)),
    refusals(module),
  ];
  return `${blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n")}\n`;
}

/** A manifest's description as lines of text. */
export function describeManifest({ modules, hosts, folders }: ManifestDescription): string[] {
  const paths = folders.map(({ host, guest, readOnly }) => visible(`${host}:${guest}${readOnly ? ":ro" : ""}`));
  return [
    ...field("manifest", "its main module is described below"),
    ...list(
      "modules",
      modules.map(({ name, source, size }) => `${visible(name)}: ${visible(source)}, ${bytes(size)}`),
    ),
    ...list("hosts", hosts.map(visible)),
    ...list("folders", paths),
  ];
}

/** What a manifest of HeliosProxy's says, as lines of text. Nothing of it grants anything. */
export function describeHelios({ name, version, description, hooks, requested, maxMemoryBytes, signature }: HeliosManifest): string[] {
  return [
    ...field("manifest", visible(`${name} ${version}${description === "" ? "" : `: ${description}`}`)),
    ...list("hooks", hooks.map(visible)),
    ...list(
      "asks for",
      requested.map(({ grant, names }) => visible(grant ?? `${names.join(", ")}, which means nothing here`)),
    ),
    ...field("memory", `${bytes(maxMemoryBytes)} at most`),
    ...field("signature", signature === undefined ? "none" : "there, but not verified"),
  ];
}

/** The same as plain data. */
export function heliosJson({ signature, ...manifest }: HeliosManifest): object {
  return { ...manifest, signed: signature !== undefined };
}

/** A native plugin as lines of text. */
export function describeNative(file: string, reason: string, grant: string | undefined): string {
  const lines = [
    colour("bold", visible(file)),
    "",
    ...field("interface", "native: a file of this kind runs in this process, without a sandbox"),
    ...field("refused", visible(reason), "red"),
    ...(grant === undefined ? [] : field("allowed by", visible(grant))),
  ];
  return `${lines.join("\n")}\n`;
}

function summary(module: ModuleDescription): string[] {
  const { functions } = module;
  return [
    ...field("interface", `${module.interface.name}: ${visible(module.interface.because)}`),
    ...(module.interface.functions.length === 0 ? [] : field("its hooks", module.interface.functions.join(", "))),
    ...asked(module),
    ...module.interface.nearly.flatMap(({ name, missing }) => field("nearly", `${name}, but it lacks ${missing.join(", ")}`)),
    ...field("size", module.size < 1024 ? bytes(module.size) : `${bytes(module.size)} (${count(module.size)} bytes)`),
    ...field("functions", `${count(functions.defined)} defined, ${count(functions.imported)} imported`),
    ...list("memories", module.memories.map(memoryText)),
    ...list("tables", module.tables.map(tableText)),
    ...field("globals", module.globals === 0 ? "none" : count(module.globals)),
    ...field("start", module.start ? "a function runs when the module is instantiated" : "none"),
    ...field("features", module.features.length === 0 ? "none beyond WebAssembly 1.0" : module.features.join(", ")),
    ...field("refused", refusedText(module), module.refusals.length === 0 ? "green" : "red"),
  ];
}

/** Whether it fits the interface that was asked for. */
function asked({ asked: wanted }: ModuleDescription): string[] {
  if (wanted === undefined) return [];
  const { name, missing } = wanted;
  return missing.length === 0
    ? field("asked for", `${name}: it fits`, "green")
    : field("asked for", `${name}: it lacks ${missing.join(", ")}`, "red");
}

function refusedText({ refusals: found }: ModuleDescription): string {
  return found.length === 0 ? "no" : `yes, for ${plural(found.length, "reason")}`;
}

/** A label and its value; on a terminal the value is wrapped under itself, in a pipe it stays on one line. */
function field(label: string, value: string, format?: Paint): string[] {
  const width = process.stdout.isTTY ? columnsOf(process.stdout) - LABEL_WIDTH : Number.POSITIVE_INFINITY;
  return wrap(value, width).map((line, index) => {
    const head = (index === 0 ? label : "").padEnd(LABEL_WIDTH);
    return colour("dim", head) + (format === undefined ? line : colour(format, line));
  });
}

function list(label: string, values: readonly string[]): string[] {
  if (values.length === 0) return field(label, "none");
  return values.flatMap((value, index) => field(index === 0 ? label : "", value));
}

function memoryText(memory: ModuleDescription["memories"][number]): string {
  const notes = `${memory.shared ? ", shared" : ""}${memory.imported ? ", imported" : ""}`;
  return `${plural(memory.minimum, "page")} (${bytes(memory.minimum * PAGE)}), ${most(memory.maximum)}${notes}`;
}

function tableText(table: ModuleDescription["tables"][number]): string {
  const entries = `${plural(table.minimum, "entry", "entries")} of ${table.element}`;
  return `${entries}, ${most(table.maximum)}${table.imported ? ", imported" : ""}`;
}

function most(maximum: number | undefined): string {
  return maximum === undefined ? "no maximum" : `at most ${count(maximum)}`;
}

function section(title: string, size: number, lines: readonly string[]): string[] {
  return size === 0 ? [] : [`${colour("bold", title)} ${colour("dim", `(${count(size)})`)}`, ...lines];
}

function imports({ imports: items, interface: { name } }: ModuleDescription): string[] {
  const byModule = Map.groupBy(items, (item) => item.module ?? "");
  const [own, ownProvider] = PROVIDED_BY[name] ?? [];
  return [...byModule].flatMap(([module, members]) => {
    const provider = PROVIDERS[module] ?? (own?.has(module) === true ? ownProvider : undefined) ?? "host functions: yours to provide";
    const title = `  ${colour("cyan", visible(module))}  ${colour("dim", provider)}`;
    return [title].concat(alignRows(members.map((item) => [`    ${visible(item.name)}`, item.type])));
  });
}

function exports({ exports: items, interface: { name } }: ModuleDescription): string[] {
  const rows = alignRows(items.map((item) => [visible(item.name), item.type, isCallable(item, name) ? "can be called" : ""]));
  return rows.map((row) => `  ${row.replace(/can be called$/, (note) => colour("green", note))}`);
}

/**
 * A plugin function has no parameters and returns nothing or an i32, or takes buffers where the interface exchanges those
 * through the plugin's memory.
 */
function isCallable({ kind, name, type }: ModuleItem, abi: Interface): boolean {
  if (kind !== "function") return false;
  if (abi !== "bifrost" && abi !== "helios") return type === "() -> ()" || type === "() -> i32";
  const buffers = abi === "bifrost" ? "(i32, i32(, i32, i32){0,2})?" : "(i32, i32)?";
  return new RegExp(`^\\(${buffers}\\) -> (i64|i32|\\(\\))$`).test(type) && !ALLOCATION.test(name);
}

/** Functions of toolchains, and of interfaces themselves. */
const ALLOCATION = /^(_start|_initialize|__.*|hs_init|(plugin_)?(malloc|free|reset)|calloc|realloc|alloc|dealloc)$/;

function customSections(module: ModuleDescription): string[] {
  return alignRows(
    module.customSections.map(({ name, size }) => [visible(name), bytes(size)]),
    ["left", "right"],
  ).map((row) => `  ${row}`);
}

function refusals(module: ModuleDescription): string[] {
  const width = process.stdout.isTTY ? columnsOf(process.stdout) - 4 : Number.POSITIVE_INFINITY;
  const lines = module.refusals.flatMap(({ code, message }) => [`  ${colour("red", code)}`, ...wrap(message, width).map((line) => `    ${line}`)]);
  return section("refused because", module.refusals.length, lines);
}
