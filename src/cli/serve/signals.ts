// The signals of a server: stop, stop at once, read everything anew.

import { closeSync, openSync } from "node:fs";

/** What signals ask for. */
export interface SignalActions {
  /** The first Ctrl-C or SIGTERM. */
  readonly stop: (signal: StopSignal) => void;
  /** A second one. */
  readonly stopAtOnce: (exitCode: number) => void;
  /** SIGHUP. */
  readonly reload: () => void;
}

/** Signals that end a server. */
export type StopSignal = "SIGINT" | "SIGTERM" | "SIGHUP";

/** npm hands on a Ctrl-C that the terminal has sent already: what comes within so many milliseconds is the same one. */
const SAME_SIGNAL_MS = 500;
/** Exit codes after a second signal, as shells give them: 128 and the number of the signal. */
const EXIT_CODES: Readonly<Record<StopSignal, number>> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

/** Listens to the signals of this process from now on. */
export function watchSignals({ stop, stopAtOnce, reload }: SignalActions): void {
  let stoppedAt: number | undefined;
  const onStop = (signal: StopSignal): void => {
    if (stoppedAt === undefined) {
      stoppedAt = performance.now();
      stop(signal);
    } else if (performance.now() - stoppedAt > SAME_SIGNAL_MS) stopAtOnce(EXIT_CODES[signal]);
  };
  process.on("SIGINT", onStop);
  process.on("SIGTERM", onStop);
  const hadTerminal = hasTerminal();
  process.on("SIGHUP", () => {
    // A terminal that is closed says the same as somebody who wants a reload.
    if (hadTerminal && !hasTerminal()) onStop("SIGHUP");
    else reload();
  });
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync("/dev/tty", "r"));
    return true;
  } catch {
    return false;
  }
}
