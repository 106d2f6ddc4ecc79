// A plugin with the methods of @extism/extism, over one of the core.

import { MortiseError, isMortiseError } from "../api/errors.ts";
import type { Plugin as CorePlugin } from "../host/plugin.ts";
import { explain } from "./failures.ts";
import { instanceOf } from "./instance.ts";
import type { ModuleFacts } from "./module-facts.ts";
import { OutputMaker, type PluginOutput } from "./plugin-output.ts";

/** Name of an export, or the name of a module and of its export. Only exports of the module `main` can be called. */
export type FunctionName = string | [module: string, name: string];

/** A loaded plugin. Calls on one plugin run one after the other. */
export interface Plugin {
  /** True if `call` accepts the name: an export without parameters that returns nothing or an i32. */
  functionExists(funcName: FunctionName): Promise<boolean>;
  /** Frees the plugin; a pending call fails with MORTISE_CLOSED, and so do later ones. */
  close(): Promise<void>;
  /**
   * Calls an export.
   *
   * @param input text as UTF-8, bytes, a number as its decimal text, or nothing
   * @param hostContext what host functions get from `hostContext()`
   * @returns null if the plugin set no output
   * @throws Error with `code` and the text that the package has; what a host function threw, as it is
   */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- code for the SDK may name it
  call<T>(funcName: FunctionName, input?: string | number | Uint8Array, hostContext?: T): Promise<PluginOutput | null>;
  /** Exports of the module `main`, or of the one that is named. */
  getExports(name?: string): Promise<WebAssembly.ModuleExportDescriptor[]>;
  /** Imports of the module `main`, or of the one that is named. */
  getImports(name?: string): Promise<WebAssembly.ModuleImportDescriptor[]>;
  /** The instance that serves calls at present; its functions are called under the limits of the plugin. */
  getInstance(name?: string): Promise<WebAssembly.Instance>;
  /** True while a call runs or waits for its turn. */
  isActive(): boolean;
  /** Forgets the variables. Does nothing and gives false while a call runs. */
  reset(): Promise<boolean>;
}

/** Makes the plugin that createPlugin gives. */
export function createDoor(core: CorePlugin, modules: readonly ModuleFacts[], inWorker: boolean): Plugin {
  return new ExtismPlugin(core, modules, inWorker);
}

class ExtismPlugin implements Plugin {
  readonly #core: CorePlugin;
  readonly #modules: readonly ModuleFacts[];
  readonly #inWorker: boolean;
  readonly #outputs = new OutputMaker();
  #calls = 0;

  constructor(core: CorePlugin, modules: readonly ModuleFacts[], inWorker: boolean) {
    this.#core = core;
    this.#modules = modules;
    this.#inWorker = inWorker;
  }

  async call(funcName: FunctionName, input?: string | number | Uint8Array, hostContext?: unknown): Promise<PluginOutput | null> {
    this.#calls++;
    let name: string | undefined;
    try {
      name = this.#target(funcName);
      const bytes = inputOf(input);
      const started = hostContext === undefined ? this.#core.start(name, bytes) : this.#core.start(name, bytes, { context: hostContext });
      const output = started instanceof Promise ? await started : started;
      return output.isSet ? this.#outputs.make(output.bytes()) : null;
    } catch (error) {
      throw this.#explained(error, name ?? String(funcName));
    } finally {
      this.#calls--;
    }
  }

  async functionExists(funcName: FunctionName): Promise<boolean> {
    if (typeof funcName === "string") return this.#core.has(funcName);
    return this.#find(funcName[0])?.isMain === true && this.#core.has(funcName[1]);
  }

  async getExports(name?: string): Promise<WebAssembly.ModuleExportDescriptor[]> {
    return [...this.#module(name).exports];
  }

  async getImports(name?: string): Promise<WebAssembly.ModuleImportDescriptor[]> {
    return [...this.#module(name).imports];
  }

  async getInstance(name?: string): Promise<WebAssembly.Instance> {
    const facts = this.#module(name);
    if (this.#inWorker) throw new MortiseError("MORTISE_NO_SYNC", { plugin: this.#core.name, function: "getInstance", isolation: "thread" });
    return instanceOf(this.#core, facts, (error, fn) => this.#explained(error, fn));
  }

  isActive(): boolean {
    return this.#calls > 0;
  }

  async reset(): Promise<boolean> {
    if (this.isActive()) return false;
    this.#core.clearVariables();
    return true;
  }

  async close(): Promise<void> {
    await this.#core.close({ abort: true });
  }

  #find(name: string): ModuleFacts | undefined {
    return this.#modules.find(({ names }) => names.includes(name));
  }

  #module(name: string | undefined): ModuleFacts {
    const found = name === undefined ? this.#modules.find(({ isMain }) => isMain) : this.#find(name);
    if (found === undefined) throw this.#noModule(name ?? "main", "");
    return found;
  }

  #target(funcName: FunctionName): string {
    if (typeof funcName === "string") return funcName;
    if (!Array.isArray(funcName)) return String(funcName);
    const [module, name] = funcName;
    const found = this.#find(module);
    if (found === undefined) throw this.#noModule(module, name);
    if (!found.isMain)
      throw explain(this.#unknown(name), { text: `Plugin error: only functions of module "main" can be called, not of "${module}"` });
    return name;
  }

  #unknown(fn: string): MortiseError {
    return new MortiseError("MORTISE_UNKNOWN_FUNCTION", { plugin: this.#core.name, function: fn, hint: "" });
  }

  #noModule(module: string, fn: string): unknown {
    return explain(this.#unknown(fn), { text: `no module named "${module}"` });
  }

  #explained(error: unknown, fn: string): unknown {
    if (!isMortiseError(error)) return error;
    if (error.code === "MORTISE_CLOSED" && this.#inWorker) return explain(error, { text: "worker not initialized" });
    const isOther = error.code === "MORTISE_UNKNOWN_FUNCTION" && this.#module(undefined).exports.some(({ name }) => name === fn);
    return explain(error, isOther ? { text: `Plugin error: export "${fn}" is not a function` } : undefined);
  }
}

function inputOf(input: unknown): string | Uint8Array | undefined {
  if (input === null || input === undefined) return undefined;
  if (typeof input === "number") return String(input);
  if (ArrayBuffer.isView(input) && !(input instanceof Uint8Array)) return new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
  // What is neither text nor bytes is refused by the core.
  return input instanceof ArrayBuffer ? new Uint8Array(input) : (input as string | Uint8Array);
}
