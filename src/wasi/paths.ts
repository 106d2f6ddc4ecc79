// Paths: opening, looking, creating, removing, renaming and links.

import { type Functions, type WasiContext, chargeCall } from "./context.ts";
import { checkFdFlags } from "./descriptor-functions.ts";
import type { FolderDescriptor } from "./descriptors.ts";
import { type Entry, FILE_TYPE, type OpenFile } from "./entry.ts";
import { ERRNO, errnoOf, fail } from "./errno.ts";
import { FILESTAT_BYTES, timesOf, writeFileStat } from "./layouts.ts";
import { MAX_PATH_BYTES, type Place, readPath, walkPath } from "./path-walk.ts";
import { ALL_OPEN_FLAGS, FILE_RIGHTS, FOLDER_RIGHTS, FOLLOW_LINK, OPEN_FLAG, OPEN_FOR_WRITE, RIGHT, WRITE_RIGHTS, rightsIn } from "./rights.ts";

/** Attempts to open a name that other programs keep creating and removing. */
const OPEN_ATTEMPTS = 8;

const encoder = new TextEncoder();

/** `path_open` and everything else that takes a path. */
export function pathFunctions(context: WasiContext): Functions {
  const { memory, descriptors, host, grants } = context;

  /** Walks a path to its end and does something there. */
  const at = <Result>(folder: FolderDescriptor, path: string, follow: boolean, work: (place: Place) => Result): Result => {
    const place = walkPath(folder.folder, path, follow, () => chargeCall(host));
    try {
      return work(place);
    } finally {
      place.release();
    }
  };
  /** The same for what is there. A slash at the end asks for the folder behind a link. */
  const found = <Result>(folder: FolderDescriptor, path: string, follow: boolean, work: (entry: Entry) => Result): Result =>
    at(folder, path, follow || path.endsWith("/"), ({ entry, mustBeFolder }) => {
      if (entry === undefined) return fail(ERRNO.noent);
      if (mustBeFolder && entry.type !== FILE_TYPE.folder) fail(ERRNO.notdir);
      return work(entry);
    });

  return {
    path_open: (
      fd: number,
      lookup: number,
      path: number,
      length: number,
      oflags: number,
      rights: bigint,
      inheriting: bigint,
      fdflags: number,
      fdAt: number,
    ) => {
      const folder = descriptors.folder(fd, RIGHT.pathOpen);
      memory.range(fdAt, 4);
      const text = readPath(memory, path, length);
      checkLookup(lookup);
      const opened = openPath(context, folder, text, (lookup & FOLLOW_LINK) !== 0, {
        oflags,
        rights: rightsIn(rights),
        inheriting: rightsIn(inheriting),
        fdflags,
      });
      memory.setU32(fdAt, opened);
      return ERRNO.success;
    },

    path_filestat_get: (fd: number, lookup: number, path: number, length: number, address: number) => {
      const folder = descriptors.folder(fd, RIGHT.pathFilestatGet);
      memory.range(address, FILESTAT_BYTES);
      const text = readPath(memory, path, length);
      checkLookup(lookup);
      writeFileStat(
        context,
        address,
        found(folder, text, (lookup & FOLLOW_LINK) !== 0, (entry) => entry.stat()),
      );
      return ERRNO.success;
    },

    path_filestat_set_times: (fd: number, lookup: number, path: number, length: number, accessed: bigint, modified: bigint, flags: number) => {
      const folder = descriptors.folder(fd, RIGHT.pathSetTimes);
      const text = readPath(memory, path, length);
      checkLookup(lookup);
      const times = timesOf(accessed, modified, flags, () => grants.clock.realtimeNs());
      found(folder, text, (lookup & FOLLOW_LINK) !== 0, (entry) => entry.setTimes(times));
      return ERRNO.success;
    },

    path_readlink: (fd: number, path: number, length: number, target: number, targetLength: number, usedAt: number) => {
      const folder = descriptors.folder(fd, RIGHT.readlink);
      memory.range(usedAt, 4);
      memory.range(target, targetLength >>> 0);
      const text = readPath(memory, path, length);
      const link = found(folder, text, false, (entry) => (entry.type === FILE_TYPE.link ? entry.target : fail(ERRNO.inval)));
      const { written } = encoder.encodeInto(link, memory.part(target, targetLength >>> 0));
      memory.setU32(usedAt, written);
      return ERRNO.success;
    },

    path_create_directory: (fd: number, path: number, length: number) => {
      const folder = descriptors.folder(fd, RIGHT.createDirectory);
      at(folder, readPath(memory, path, length), false, (place) => {
        if (place.name === undefined || place.entry !== undefined) return fail(ERRNO.exist);
        return place.folder.createFolder(place.name);
      });
      return ERRNO.success;
    },

    path_remove_directory: (fd: number, path: number, length: number) => {
      const folder = descriptors.folder(fd, RIGHT.removeDirectory);
      at(folder, readPath(memory, path, length), false, (place) => {
        if (place.name === undefined) return fail(ERRNO.inval);
        if (place.entry === undefined) return fail(ERRNO.noent);
        if (place.entry.type !== FILE_TYPE.folder) fail(ERRNO.notdir);
        return place.folder.removeFolder(place.name, place.entry);
      });
      return ERRNO.success;
    },

    path_unlink_file: (fd: number, path: number, length: number) => {
      const folder = descriptors.folder(fd, RIGHT.unlinkFile);
      at(folder, readPath(memory, path, length), false, (place) => {
        if (place.name === undefined) return fail(ERRNO.isdir);
        if (place.entry === undefined) return fail(ERRNO.noent);
        if (place.entry.type === FILE_TYPE.folder) fail(ERRNO.isdir);
        if (place.mustBeFolder) fail(ERRNO.notdir);
        return place.folder.removeFile(place.name, place.entry);
      });
      return ERRNO.success;
    },

    path_rename: (fd: number, path: number, length: number, newFd: number, newPath: number, newLength: number) => {
      const folder = descriptors.folder(fd, RIGHT.renameSource);
      const newFolder = descriptors.folder(newFd, RIGHT.renameTarget);
      const text = readPath(memory, path, length);
      const newText = readPath(memory, newPath, newLength);
      at(folder, text, false, (from) => at(newFolder, newText, false, (to) => rename(from, to)));
      return ERRNO.success;
    },

    path_symlink: (target: number, targetLength: number, fd: number, path: number, length: number) => {
      const folder = descriptors.folder(fd, RIGHT.symlink);
      const link = readTarget(context, target, targetLength);
      at(folder, readPath(memory, path, length), false, (place) => {
        if (place.name === undefined || place.entry !== undefined) return fail(ERRNO.exist);
        if (place.mustBeFolder) fail(ERRNO.noent);
        return place.folder.createLink(place.name, link);
      });
      return ERRNO.success;
    },

    // A second name would let a file outlive its removal, or escape the quota of its folder; no descriptor has the rights.
    path_link: (fd: number, _lookup: number, _path: number, _length: number, newFd: number) => {
      descriptors.folder(fd, RIGHT.linkSource);
      descriptors.folder(newFd, RIGHT.linkTarget);
      return ERRNO.notcapable;
    },
  };
}

function checkLookup(lookup: number): void {
  if ((lookup & ~FOLLOW_LINK) !== 0) fail(ERRNO.inval);
}

/**
 * The target of a new link. Only names further down are accepted: a link that holds "..", or moves with a folder that is
 * renamed, could lead a program of the host out of the folder when it follows what a guest has made.
 */
function readTarget({ memory }: WasiContext, address: number, length: number): string {
  memory.range(address, length >>> 0);
  if (length >>> 0 > MAX_PATH_BYTES - 1) fail(ERRNO.nametoolong);
  const target = memory.text(address, length);
  if (target === "") fail(ERRNO.noent);
  if (target.includes("\0")) fail(ERRNO.inval);
  if (target.startsWith("/") || target.split("/").includes("..")) fail(ERRNO.notcapable);
  return target;
}

function rename(from: Place, to: Place): void {
  if (from.name === undefined || to.name === undefined) return fail(ERRNO.busy);
  if (from.entry === undefined) return fail(ERRNO.noent);
  if ((from.mustBeFolder || to.mustBeFolder) && from.entry.type !== FILE_TYPE.folder) fail(ERRNO.notdir);
  return from.folder.rename(from.name, from.entry, to.folder, to.name, to.entry);
}

interface Wish {
  readonly oflags: number;
  readonly rights: number;
  readonly inheriting: number;
  readonly fdflags: number;
}

/** Opens what a path leads to, creates it if that is wished for, and returns the number of the new descriptor. */
function openPath(context: WasiContext, folder: FolderDescriptor, path: string, follow: boolean, wish: Wish): number {
  const { descriptors, host } = context;
  checkWish(folder, wish);
  descriptors.checkRoom();
  const exclusive = (wish.oflags & (OPEN_FLAG.create | OPEN_FLAG.exclusive)) === (OPEN_FLAG.create | OPEN_FLAG.exclusive);
  for (let attempt = 1; ; attempt++) {
    const place = walkPath(folder.folder, path, (follow && !exclusive) || path.endsWith("/"), () => chargeCall(host));
    let kept: Entry | undefined;
    try {
      const { entry } = place;
      if (entry !== undefined && exclusive) fail(ERRNO.exist);
      if (entry?.type !== FILE_TYPE.folder) return addFile(context, folder, openFile(place, wish), wish);
      kept = openFolder(folder, entry, wish);
      return descriptors.add({
        kind: "folder",
        folder: kept,
        grantedAs: undefined,
        rights: wish.rights & folder.inheriting & FOLDER_RIGHTS,
        inheriting: wish.inheriting & folder.inheriting,
        flags: wish.fdflags,
      });
    } catch (error) {
      // Created by another program just now: then it is opened.
      if (exclusive || place.entry !== undefined || errnoOf(error) !== ERRNO.exist || attempt === OPEN_ATTEMPTS) throw error;
    } finally {
      place.release(kept);
    }
  }
}

/** What can be refused before anything is looked up. */
function checkWish({ inheriting, rights, folder }: FolderDescriptor, wish: Wish): void {
  const { oflags } = wish;
  if ((oflags & ~ALL_OPEN_FLAGS) !== 0) fail(ERRNO.inval);
  if ((oflags & OPEN_FLAG.directory) !== 0 && (oflags & (OPEN_FLAG.create | OPEN_FLAG.truncate)) !== 0) fail(ERRNO.inval);
  checkFdFlags(wish.fdflags);
  const needed = ((oflags & OPEN_FLAG.create) === 0 ? 0 : RIGHT.createFile) | ((oflags & OPEN_FLAG.truncate) === 0 ? 0 : RIGHT.pathSetSize);
  // Reading and writing are what a file is opened for; without them it would be opened for nothing.
  const missing = (needed & ~rights) | (wish.rights & (RIGHT.fdRead | RIGHT.fdWrite) & ~inheriting);
  if (missing !== 0) fail(folder.readOnly && (missing & WRITE_RIGHTS) !== 0 ? ERRNO.rofs : ERRNO.notcapable);
}

function openFolder(from: FolderDescriptor, entry: Entry, { oflags, rights }: Wish): Entry {
  if ((oflags & (OPEN_FLAG.create | OPEN_FLAG.truncate)) !== 0 || (rights & RIGHT.fdWrite) !== 0) fail(ERRNO.isdir);
  return entry === from.folder ? entry.duplicate() : entry;
}

function openFile(place: Place, { oflags, rights }: Wish): OpenFile {
  const { entry, folder, name, mustBeFolder } = place;
  const access = { read: (rights & RIGHT.fdRead) !== 0, write: (rights & OPEN_FOR_WRITE) !== 0, truncate: (oflags & OPEN_FLAG.truncate) !== 0 };
  if (entry === undefined) {
    if ((oflags & OPEN_FLAG.create) === 0 || name === undefined) return fail(ERRNO.noent);
    return mustBeFolder ? fail(ERRNO.isdir) : folder.createFile(name, access);
  }
  if (entry.type === FILE_TYPE.link) fail(ERRNO.loop);
  if (mustBeFolder || (oflags & OPEN_FLAG.directory) !== 0) fail(ERRNO.notdir);
  return entry.open(access);
}

function addFile({ descriptors }: WasiContext, from: FolderDescriptor, file: OpenFile, wish: Wish): number {
  return descriptors.add({
    kind: "file",
    file,
    position: 0,
    rights: wish.rights & from.inheriting & FILE_RIGHTS,
    inheriting: 0,
    flags: wish.fdflags,
  });
}
