// What a plugin does, written down so that two places can be compared: outputs, errors, logs, host calls, statistics.

import { createHash } from "node:crypto";

import { type Logger, type Plugin, type PluginInput, type PluginOptions, isMortiseError } from "../../src/index.ts";

/** Loads a plugin in the place that is tested. */
export type Load = (source: Uint8Array | string, options: PluginOptions) => Promise<Plugin>;

/** One call. */
export interface Step {
  readonly fn: string;
  readonly input?: PluginInput;
  readonly context?: unknown;
  readonly timeoutMs?: number;
}

/** Something to run in two places. */
export interface Case {
  readonly name: string;
  readonly source: Uint8Array | string | (() => Promise<Uint8Array>);
  readonly options?: PluginOptions;
  /** Host functions, made anew for each place; `note` writes into the transcript. */
  readonly host?: (note: (entry: unknown) => void, plugin: () => Plugin) => NonNullable<PluginOptions["hostFunctions"]>;
  /** More options, made anew for each place. */
  readonly fresh?: (note: (entry: unknown) => void) => PluginOptions | Promise<PluginOptions>;
  readonly steps: readonly Step[];
  /** What each step must come to: text, bytes, or the code of an error; loading too, if it fails. */
  readonly expected: readonly (string | Uint8Array)[];
  /** Details that depend on where the clock or the stack happened to end. */
  readonly varying?: readonly string[];
  /** Fuel depends on the clock or on the stack. */
  readonly fuelVaries?: true;
}

/** Runs a case and writes down what happened. */
export async function transcribe(load: Load, test: Case): Promise<{ entries: unknown[]; results: (string | Uint8Array)[] }> {
  const entries: unknown[] = [];
  const results: (string | Uint8Array)[] = [];
  const note = (entry: unknown): void => void entries.push(entry);
  const failed = (error: unknown): void => {
    results.push(isMortiseError(error) ? error.code : `not coded: ${String(error)}`);
    note(errorEntry(error, test.varying ?? []));
  };
  let plugin: Plugin | undefined;
  const opened = (): Plugin => {
    if (plugin === undefined) throw new Error("the plugin is not loaded yet");
    return plugin;
  };
  const hostFunctions = test.host?.(note, opened);
  const source = typeof test.source === "function" ? await test.source() : test.source;
  try {
    plugin = await load(source, {
      name: "guest",
      logger: noteLogger(note),
      ...test.options,
      ...(hostFunctions === undefined ? {} : { hostFunctions }),
    });
  } catch (error) {
    failed(error);
    return { entries, results };
  }
  for (const { fn, input, ...options } of test.steps) {
    try {
      const output = await plugin.call(fn, input, options);
      results.push(output.length < 1000 && isText(output.bytes()) ? output.text() : output.bytes());
      note({ output: digest(output.bytes()), length: output.length, exact: output.bytes().buffer.byteLength === output.length });
    } catch (error) {
      failed(error);
    }
    const { fuel, memory, bytes, variables, droppedLogs, errors } = plugin.stats();
    note({ ...(test.fuelVaries === true ? {} : { fuel }), memory, bytes, variables, droppedLogs, errors });
  }
  const { created, discarded } = plugin.stats().instances;
  note({ created, discarded });
  await plugin.close();
  return { entries, results };
}

/** The cause of an engine's error stays where the engine is; a host function's own error is the caller's, everywhere. */
function errorEntry(error: unknown, varying: readonly string[]): unknown {
  if (!isMortiseError(error)) return { thrown: String(error) };
  const details = Object.fromEntries(Object.entries(error.details).filter(([name]) => !varying.includes(name)));
  return {
    code: error.code,
    message: error.message,
    details,
    status: error.status,
    ...(error.code === "MORTISE_HOST_FUNCTION" ? { cause: error.cause } : {}),
  };
}

function noteLogger(note: (entry: unknown) => void): Logger {
  const write = (level: string) => (message: string) => note({ [level]: message });
  return { trace: write("trace"), debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function isText(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
