// Handles on what lies in a mounted folder: how one is held, so that nothing that happens to names in the meantime can
// put something else in its place.
//
// On Linux a handle is a descriptor opened with O_PATH | O_NOFOLLOW, which reads nothing, waits for nothing and wakes no
// device. `/proc/self/fd/<number>` leads to that very file, and `/proc/self/fd/<number>/<name>` to a name in that very
// folder. Elsewhere a handle is a path that was checked; see SECURITY.md on what that is worth.

import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  lutimesSync,
  openSync,
  readFileSync,
  realpathSync,
  statSync,
  statfsSync,
  utimesSync,
} from "node:fs";
import { dirname, sep } from "node:path";

import { ERRNO, fail } from "./errno.ts";

/** Linux: a descriptor that only says where a file is. The number is the same on every architecture that Node runs on. */
const O_PATH = 0o10_000_000;

/** A file, folder or link that cannot turn into another one. */
export interface Handle {
  /** Path by which the system finds it. */
  readonly path: string;
  readonly stat: BigIntStats;
  close(): void;
}

/** The way in which a system holds handles. */
export interface HandleKind {
  /** A handle on the end of a path, whose last component is not followed if it is a link. */
  hold(path: string): Handle;
  /** Another handle on the same. */
  duplicate(handle: Handle): Handle;
  /** What is known of it now. */
  look(handle: Handle): BigIntStats;
  /** True if nothing was mounted between the mounted folder and what is held. Device numbers do not say: overlays have several. */
  sameMount(handle: Handle, root: Handle): boolean;
  /** Opens a handle that is a regular file. `root` is the mounted folder. @throws WasiFailure `stale` if it became another */
  open(handle: Handle, flags: number, root: Handle): number;
  /** Sets times, in seconds since 1970. */
  setTimes(handle: Handle, accessed: number, modified: number): void;
}

/** Handles that are descriptors. What follows a link here follows the one that `/proc` shows for a descriptor. */
export const linuxHandles: HandleKind = {
  hold: (path) => holdDescriptor(path, O_PATH | constants.O_NOFOLLOW),
  duplicate: ({ path }) => holdDescriptor(path, O_PATH),
  look: ({ path }) => statSync(path, { bigint: true }),
  sameMount: (handle, root) => mountOf(handle) === mountOf(root),
  open: ({ path }, flags) => openSync(path, flags),
  setTimes: ({ path }, accessed, modified) => utimesSync(path, accessed, modified),
};

/** Number of the mount that a descriptor is on. @throws Error if the system does not say */
function mountOf({ path }: Handle): string {
  const [, mount] = /^mnt_id:\s*(\d+)$/m.exec(readFileSync(path.replace("/fd/", "/fdinfo/"), "latin1")) ?? [];
  return mount ?? fail(ERRNO.notcapable);
}

function holdDescriptor(path: string, flags: number): Handle {
  const descriptor = openSync(path, flags);
  try {
    const stat = fstatSync(descriptor, { bigint: true });
    return { path: `/proc/self/fd/${descriptor}`, stat, close: () => closeSync(descriptor) };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/** Handles that are paths: what was opened is looked at again, since another program may change names at any time. */
export const pathHandles: HandleKind = {
  hold: (path) => ({ path, stat: lstatSync(path, { bigint: true }), close: () => {} }),
  duplicate: (handle) => handle,
  look: ({ path }) => lstatSync(path, { bigint: true }),
  sameMount: (handle, root) => statfsSync(handle.path).type === statfsSync(root.path).type,
  open: ({ path, stat }, flags, root) => {
    const descriptor = openSync(path, flags | constants.O_NOFOLLOW);
    try {
      const opened = fstatSync(descriptor, { bigint: true });
      const inside = `${realpathSync(dirname(path))}${sep}`.startsWith(`${realpathSync(root.path)}${sep}`);
      if (opened.dev !== stat.dev || opened.ino !== stat.ino || !inside) fail(ERRNO.stale);
      return descriptor;
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  },
  setTimes: ({ path }, accessed, modified) => lutimesSync(path, accessed, modified),
};

/** The kind for this system, or why there is none. */
export function handlesHere(folder: string): HandleKind | string {
  if (process.platform === "win32") return "folders cannot be granted on Windows";
  if (process.platform !== "linux") return pathHandles;
  return procWorks(folder) ? linuxHandles : "granting folders needs /proc";
}

/** Whether what is held can be looked at; asked of the folder itself, since a process may be allowed nothing else. */
function procWorks(folder: string): boolean {
  let held: ReturnType<HandleKind["hold"]> | undefined;
  try {
    held = linuxHandles.hold(folder);
    const { dev, ino } = linuxHandles.look(held);
    return dev === held.stat.dev && ino === held.stat.ino;
  } catch {
    // That it cannot be held at all is for opening it to say.
    return held === undefined;
  } finally {
    held?.close();
  }
}
