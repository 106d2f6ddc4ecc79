// The functions of WASI preview 1, as guests import them.
//
// Facts: wasi_snapshot_preview1.witx of the WASI repository.

/** Import module of WASI preview 1. */
export const WASI_MODULE = "wasi_snapshot_preview1";

/** Parameter types of each function, `i` for i32 and `I` for i64; all but `proc_exit` return an errno as i32. */
export const WASI_FUNCTIONS: Readonly<Record<string, string>> = {
  args_get: "ii",
  args_sizes_get: "ii",
  environ_get: "ii",
  environ_sizes_get: "ii",
  clock_res_get: "ii",
  clock_time_get: "iIi",
  fd_advise: "iIIi",
  fd_allocate: "iII",
  fd_close: "i",
  fd_datasync: "i",
  fd_fdstat_get: "ii",
  fd_fdstat_set_flags: "ii",
  fd_fdstat_set_rights: "iII",
  fd_filestat_get: "ii",
  fd_filestat_set_size: "iI",
  fd_filestat_set_times: "iIIi",
  fd_pread: "iiiIi",
  fd_prestat_get: "ii",
  fd_prestat_dir_name: "iii",
  fd_pwrite: "iiiIi",
  fd_read: "iiii",
  fd_readdir: "iiiIi",
  fd_renumber: "ii",
  fd_seek: "iIii",
  fd_sync: "i",
  fd_tell: "ii",
  fd_write: "iiii",
  path_create_directory: "iii",
  path_filestat_get: "iiiii",
  path_filestat_set_times: "iiiiIIi",
  path_link: "iiiiiii",
  path_open: "iiiiiIIii",
  path_readlink: "iiiiii",
  path_remove_directory: "iii",
  path_rename: "iiiiii",
  path_symlink: "iiiii",
  path_unlink_file: "iii",
  poll_oneoff: "iiii",
  proc_exit: "i",
  proc_raise: "i",
  random_get: "ii",
  sched_yield: "",
  sock_accept: "iii",
  sock_recv: "iiiiii",
  sock_send: "iiiii",
  sock_shutdown: "ii",
};

/** Parameter and result types of a function, or undefined if there is no such function. */
export function wasiType(name: string): { readonly params: readonly ("i32" | "i64")[]; readonly results: readonly "i32"[] } | undefined {
  if (!Object.hasOwn(WASI_FUNCTIONS, name)) return undefined;
  const params = Array.from(WASI_FUNCTIONS[name] ?? "", (letter) => (letter === "I" ? ("i64" as const) : ("i32" as const)));
  return { params, results: name === "proc_exit" ? [] : ["i32"] };
}
