// The command `mortise`, in a Node.js that can run it.

import { exitCodeOf, printFailure, toMortiseError } from "./failure.ts";
import { runProgram } from "./program.ts";
import { watchForErrors } from "./terminal.ts";

// No listener for SIGINT: a running guest holds the thread, so a listener would wait for it. The default action ends
// the process at once, which a shell reports as 130.
watchForErrors(process.stdout);
watchForErrors(process.stderr);
try {
  const exitCode = await runProgram(process.argv.slice(2));
  // It is set already if the output could not be written.
  process.exitCode ??= exitCode;
} catch (error) {
  const failure = toMortiseError(error);
  printFailure(failure);
  process.exitCode = exitCodeOf(failure);
}
