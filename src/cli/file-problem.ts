// Why a file cannot be read, in words.

const PROBLEMS: ReadonlyMap<unknown, string> = new Map([
  ["ENOENT", "it does not exist"],
  ["ENOTDIR", "it does not exist"],
  ["EISDIR", "it is a directory"],
  ["EACCES", "permission denied"],
]);

/** Puts what a file system call threw into words. */
export function fileProblem(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return PROBLEMS.get("code" in error ? error.code : undefined) ?? error.message;
}
