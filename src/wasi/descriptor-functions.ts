// Descriptors: what was granted, rights and flags, closing and renumbering.

import { type Functions, type WasiContext, chargeCall } from "./context.ts";
import { ERRNO, fail } from "./errno.ts";
import { FDSTAT_BYTES, writeFdStat } from "./layouts.ts";
import { ALL_FD_FLAGS, FD_FLAG, RIGHT, SYNC_FLAGS, rightsIn, withinRights } from "./rights.ts";

/** `$prestat`: the kind of grant, of which there is one, and the length of its name. */
const PRESTAT_BYTES = 8;
const PRESTAT_FOLDER = 0;

/** `fd_prestat_get`, `fd_fdstat_get`, `fd_close` and their kin. */
export function descriptorFunctions(context: WasiContext): Functions {
  const { memory, descriptors, host, grants } = context;
  const granted = (fd: number): Uint8Array => {
    const descriptor = descriptors.get(fd);
    return descriptor.kind === "folder" && descriptor.grantedAs !== undefined ? descriptor.grantedAs : fail(ERRNO.badf);
  };
  return {
    fd_prestat_get: (fd: number, address: number) => {
      const name = granted(fd);
      const at = memory.range(address, PRESTAT_BYTES);
      memory.setU32(at, PRESTAT_FOLDER);
      memory.setU32(at + 4, name.length);
      return ERRNO.success;
    },

    fd_prestat_dir_name: (fd: number, address: number, length: number) => {
      const name = granted(fd);
      if (length >>> 0 < name.length) fail(ERRNO.nametoolong);
      memory.part(address, name.length).set(name);
      return ERRNO.success;
    },

    fd_fdstat_get: (fd: number, address: number) => {
      const descriptor = descriptors.get(fd);
      memory.range(address, FDSTAT_BYTES);
      writeFdStat(memory, address, descriptor, grants.streamType);
      return ERRNO.success;
    },

    fd_fdstat_set_flags: (fd: number, flags: number) => {
      const descriptor = descriptors.get(fd, RIGHT.fdSetFlags);
      checkFdFlags(flags);
      if (descriptor.kind !== "file" && (flags & FD_FLAG.append) !== 0) fail(ERRNO.inval);
      descriptor.flags = flags;
      return ERRNO.success;
    },

    fd_fdstat_set_rights: (fd: number, rights: bigint, inheriting: bigint) => {
      const descriptor = descriptors.get(fd);
      if (!withinRights(rights, descriptor.rights) || !withinRights(inheriting, descriptor.inheriting)) fail(ERRNO.notcapable);
      descriptor.rights = rightsIn(rights);
      descriptor.inheriting = rightsIn(inheriting);
      return ERRNO.success;
    },

    fd_close: (fd: number) => {
      chargeCall(host);
      descriptors.close(fd);
      return ERRNO.success;
    },

    fd_renumber: (from: number, to: number) => {
      chargeCall(host);
      descriptors.move(from, to);
      return ERRNO.success;
    },
  };
}

/** @throws WasiFailure `inval` for unknown flags, `notsup` for those that make every write wait for the disk */
export function checkFdFlags(flags: number): void {
  if ((flags & ~ALL_FD_FLAGS) !== 0) fail(ERRNO.inval);
  if ((flags & SYNC_FLAGS) !== 0) fail(ERRNO.notsup);
}
