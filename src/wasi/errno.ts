// Error numbers of preview 1, and how failures become one.
//
// Facts: the `$errno` variant of wasi_snapshot_preview1.witx.

/** Numbers that the functions answer with; 0 is success. */
export const ERRNO = {
  success: 0,
  tooBig: 1,
  acces: 2,
  again: 6,
  badf: 8,
  busy: 10,
  dquot: 19,
  exist: 20,
  fault: 21,
  fbig: 22,
  ilseq: 25,
  intr: 27,
  inval: 28,
  io: 29,
  isdir: 31,
  loop: 32,
  mfile: 33,
  mlink: 34,
  nametoolong: 37,
  nfile: 41,
  nodev: 43,
  noent: 44,
  nomem: 48,
  nospc: 51,
  nosys: 52,
  notdir: 54,
  notempty: 55,
  notsock: 57,
  notsup: 58,
  nxio: 60,
  overflow: 61,
  perm: 63,
  rofs: 69,
  spipe: 70,
  stale: 72,
  timedout: 73,
  txtbsy: 74,
  xdev: 75,
  notcapable: 76,
} as const;

/** One of {@link ERRNO}. */
export type Errno = (typeof ERRNO)[keyof typeof ERRNO];

/** Codes of the operating system; what is not named here is `io`. */
const SYSTEM: Readonly<Record<string, Errno>> = {
  E2BIG: ERRNO.tooBig,
  EACCES: ERRNO.acces,
  EAGAIN: ERRNO.again,
  EBADF: ERRNO.badf,
  EBUSY: ERRNO.busy,
  EDQUOT: ERRNO.dquot,
  EEXIST: ERRNO.exist,
  EFBIG: ERRNO.fbig,
  EILSEQ: ERRNO.ilseq,
  EINTR: ERRNO.intr,
  EINVAL: ERRNO.inval,
  EISDIR: ERRNO.isdir,
  ELOOP: ERRNO.loop,
  EMFILE: ERRNO.mfile,
  EMLINK: ERRNO.mlink,
  ENAMETOOLONG: ERRNO.nametoolong,
  ENFILE: ERRNO.nfile,
  ENODEV: ERRNO.nodev,
  ENOENT: ERRNO.noent,
  ENOMEM: ERRNO.nomem,
  ENOSPC: ERRNO.nospc,
  ENOSYS: ERRNO.nosys,
  ENOTDIR: ERRNO.notdir,
  ENOTEMPTY: ERRNO.notempty,
  ENOTSUP: ERRNO.notsup,
  EOPNOTSUPP: ERRNO.notsup,
  ENXIO: ERRNO.nxio,
  EOVERFLOW: ERRNO.overflow,
  EPERM: ERRNO.perm,
  EROFS: ERRNO.rofs,
  ESPIPE: ERRNO.spipe,
  ESTALE: ERRNO.stale,
  ETIMEDOUT: ERRNO.timedout,
  ETXTBSY: ERRNO.txtbsy,
  EXDEV: ERRNO.xdev,
};

/** Ends a function with an error number. */
export class WasiFailure extends Error {
  override readonly name = "WasiFailure";
  readonly errno: Errno;

  constructor(errno: Errno) {
    super(`errno ${errno}`);
    this.errno = errno;
  }
}

/** One for each number: making an error takes longer than most functions, and guests that look for files get many. */
const FAILURES: ReadonlyMap<Errno, WasiFailure> = new Map(Object.values(ERRNO).map((errno) => [errno, new WasiFailure(errno)]));

/** Ends the running function. @throws WasiFailure, whose stack says nothing */
export function fail(errno: Errno): never {
  throw FAILURES.get(errno) as WasiFailure;
}

/** The error number for what was thrown, or undefined if it is not an answer to the guest but a failure of the host. */
export function errnoOf(error: unknown): Errno | undefined {
  if (error instanceof WasiFailure) return error.errno;
  const code = systemCode(error);
  return code === undefined ? undefined : (SYSTEM[code] ?? ERRNO.io);
}

/** The code of a failed system call, such as "ENOENT", or undefined if that is not what was thrown. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("syscall" in error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
