// Why a file cannot be read, in words.

/** What is wrong with a file that is not there. */
export const MISSING = "it does not exist";

const PROBLEMS: ReadonlyMap<unknown, string> = new Map([
  ["ENOENT", MISSING],
  ["ENOTDIR", MISSING],
  ["EISDIR", "it is a directory"],
  ["EACCES", "permission denied"],
]);

/** Puts what a file system call threw into words. */
export function fileProblem(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return PROBLEMS.get("code" in error ? error.code : undefined) ?? error.message;
}
