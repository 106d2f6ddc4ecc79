// WASI preview 1 for one instance: all of its functions, over what the plugin was granted.

import { argumentFunctions } from "./arguments.ts";
import { clockFunctions } from "./clocks.ts";
import type { Functions, WasiContext } from "./context.ts";
import { descriptorFunctions } from "./descriptor-functions.ts";
import { type Descriptor, Descriptors } from "./descriptors.ts";
import type { Entry } from "./entry.ts";
import { environmentFunctions } from "./environment.ts";
import { type Errno, errnoOf } from "./errno.ts";
import { fileFunctions } from "./files.ts";
import { folderFunctions } from "./folders.ts";
import { GuestMemory } from "./guest-memory.ts";
import { IoVectors } from "./io-vectors.ts";
import { mountRoot } from "./mount.ts";
import type { WasiGrants } from "./options.ts";
import { pathFunctions } from "./paths.ts";
import { pollFunctions } from "./polling.ts";
import { processFunctions } from "./process.ts";
import { randomFunctions } from "./random.ts";
import { FILE_RIGHTS, FOLDER_RIGHTS, INPUT_RIGHTS, OUTPUT_RIGHTS, WRITE_RIGHTS } from "./rights.ts";
import { socketFunctions } from "./sockets.ts";
import { OutputBudget, output } from "./streams.ts";

/** What the functions need of the instance that calls them. */
export interface WasiHost {
  /** The guest's exported memory; undefined if it exports none. */
  memory(): WebAssembly.Memory | undefined;
  /** Ends the guest with an exit code: it traps as soon as the function has returned. */
  exit(code: number): void;
  /** Charges fuel for bytes that are about to be handled. */
  charge(bytes: number): void;
  /** Milliseconds to the deadline of the running call, Infinity without one. */
  timeLeftMs(): number;
  /** True if a returned promise can be waited for now. */
  canSuspend(): boolean;
}

/** A function as guests import it. It returns an error number, or a promise of one if {@link WasiHost.canSuspend} says so. */
export type WasiFunction = (...values: (number | bigint)[]) => number | Promise<number>;

/** Functions that may return a promise; all others answer at once. */
export const SUSPENDING_FUNCTIONS: readonly string[] = ["fd_read", "poll_oneoff"];

/** Preview 1 of one instance. */
export interface Wasi {
  /** By name; proc_exit returns a number too, which is to be dropped. What a user's function throws comes out of them. */
  readonly functions: Readonly<Record<string, WasiFunction>>;
  /** Starts the limits of a call anew. */
  beginCall(): void;
  /** Gives up what the guest waits for. Promises that were returned may then never settle, and write nothing any more. */
  cancel(): void;
  /** Gives up what the guest waits for, and closes every descriptor. */
  close(): void;
}

/** Makes preview 1 for one instance. Standard streams are descriptors 0 to 2, granted folders follow. */
export function createWasi(grants: WasiGrants, host: WasiHost): Wasi {
  const budget = new OutputBudget(grants.outputBytes);
  const context: WasiContext = {
    grants,
    host,
    memory: new GuestMemory(() => host.memory()),
    vectors: new IoVectors(),
    descriptors: new Descriptors([...standardStreams(grants, budget), ...grantedFolders(grants)], grants.descriptors),
    output: budget,
    originNs: grants.clock.monotonicNs(),
    waits: { generation: 0, timers: new Set() },
  };
  const cancel = (): void => {
    context.waits.generation++;
    for (const timer of context.waits.timers) clearTimeout(timer);
    context.waits.timers.clear();
  };
  return {
    functions: guarded({
      ...argumentFunctions(context),
      ...environmentFunctions(context),
      ...clockFunctions(context),
      ...randomFunctions(context),
      ...descriptorFunctions(context),
      ...fileFunctions(context),
      ...folderFunctions(context),
      ...pathFunctions(context),
      ...pollFunctions(context),
      ...processFunctions(context),
      ...socketFunctions(context),
    }),
    beginCall: () => budget.restart(),
    cancel,
    close: () => {
      cancel();
      context.descriptors.closeAll();
    },
  };
}

function standardStreams({ input, stdout, stderr }: WasiGrants, budget: OutputBudget): Descriptor[] {
  const common = { kind: "stream", inheriting: 0, flags: 0 } as const;
  return [
    { ...common, stream: { input: input() }, rights: INPUT_RIGHTS },
    { ...common, stream: output(stdout, budget), rights: OUTPUT_RIGHTS },
    { ...common, stream: output(stderr, budget), rights: OUTPUT_RIGHTS },
  ];
}

function grantedFolders({ files, folders }: WasiGrants): Descriptor[] {
  const granted = folders.map(({ name, mount }) => grantedFolder(mountRoot(mount), name));
  return files === undefined ? granted : [grantedFolder(files, Uint8Array.of(0x2f)), ...granted];
}

function grantedFolder(folder: Entry, grantedAs: Uint8Array): Descriptor {
  const allowed = folder.readOnly ? ~WRITE_RIGHTS : -1;
  return { kind: "folder", folder, grantedAs, rights: FOLDER_RIGHTS & allowed, inheriting: (FOLDER_RIGHTS | FILE_RIGHTS) & allowed, flags: 0 };
}

/** Turns what functions throw into error numbers. */
function guarded(functions: Functions): Readonly<Record<string, WasiFunction>> {
  const out: Record<string, WasiFunction> = Object.create(null);
  for (const [name, work] of Object.entries(functions)) {
    const run = work as WasiFunction;
    const needsStack = name.startsWith("path_") || HOLDING.has(name);
    out[name] = (...values) => {
      try {
        if (needsStack) reserveStack();
        const result = run(...values);
        return typeof result === "number" ? result : result.catch(toErrno);
      } catch (error) {
        return toErrno(error);
      }
    };
  }
  return out;
}

/** What a failure says to the guest. @throws what is a failure of the host */
function toErrno(error: unknown): Errno {
  const errno = errnoOf(error);
  if (errno === undefined) throw error;
  return errno;
}

/** Functions besides those for paths that open or close descriptors of the process. */
const HOLDING: ReadonlySet<string> = new Set(["fd_close", "fd_renumber", "fd_readdir"]);
/** More than any function needs: 4 KiB. */
const RESERVE: readonly number[] = Array.from({ length: 512 }, () => 0);
const nothing = (): void => {};

/**
 * Makes sure of room on the stack before a function begins, since running out of it half-way could lose a descriptor.
 *
 * @throws RangeError if there is none
 */
function reserveStack(): void {
  // Arguments go onto the stack, which is checked for them at once.
  Reflect.apply(nothing, undefined, RESERVE);
}
