// Folders: reading their names.

import { type Functions, type WasiContext, chargeCall } from "./context.ts";
import type { FolderDescriptor } from "./descriptors.ts";
import { ERRNO } from "./errno.ts";
import { FolderListing } from "./folder-listing.ts";
import { RIGHT } from "./rights.ts";

/** `fd_readdir`. */
export function folderFunctions(context: WasiContext): Functions {
  const { memory, descriptors, host } = context;
  return {
    fd_readdir: (fd: number, address: number, length: number, cookie: bigint, usedAt: number) => {
      const folder = descriptors.folder(fd, RIGHT.fdReaddir);
      memory.range(address, length >>> 0);
      memory.range(usedAt, 4);
      chargeCall(host);
      const used = listing(context, folder, cookie);
      // Before it grows: what it may grow to comes on top.
      descriptors.listings.trim(folder);
      const entries = used.from(Number(BigInt.asUintN(64, cookie)), length >>> 0);
      host.charge(entries.length);
      memory.part(address, length >>> 0).set(entries);
      memory.setU32(usedAt, entries.length);
      return ERRNO.success;
    },
  };
}

/** The listing that a cookie belongs to; a cookie of 0 begins a new one. */
function listing({ descriptors, host }: WasiContext, folder: FolderDescriptor, cookie: bigint): FolderListing {
  const known = cookie === 0n ? undefined : descriptors.listings.get(folder);
  if (known !== undefined) return known;
  const made = new FolderListing(folder.folder.names(), host);
  descriptors.listings.set(folder, made);
  return made;
}
