// What the process that serves with several workers, and its workers, tell each other.

/** From a worker. */
export type WorkerMessage =
  | { readonly kind: "ready"; readonly url: string; readonly port: number }
  | { readonly kind: "metrics"; readonly id: number; readonly text: string };

/** To a worker. */
export type PrimaryMessage = { readonly kind: "reload" } | { readonly kind: "drain" } | { readonly kind: "metrics"; readonly id: number };

/** Environment variable by which a worker knows its number and port. */
export const WORKER_VARIABLE = "MORTISE_WORKER";

/** What the variable holds. */
export interface WorkerPlace {
  /** From 1; a worker that takes the place of another has its number. */
  readonly number: number;
  readonly port: number;
}

/** Reads the variable; undefined if it is not there. */
export function workerPlace(env: Readonly<Record<string, string | undefined>>): WorkerPlace | undefined {
  const [number, port] = (env[WORKER_VARIABLE] ?? "").split(":").map(Number);
  return number === undefined || port === undefined || !(number > 0) ? undefined : { number, port };
}
