// Fairness between guests that run for long: after a slice of time each waits here, and one of them goes on for each
// turn of the event loop. So the loop is held for one slice at a time, however many guests are at work.

const waiting: (() => void)[] = [];
let scheduled = false;

/** Calls `go` in a turn of its own of the event loop, after everybody who came before. */
export function takeTurn(go: () => void): void {
  waiting.push(go);
  schedule();
}

function schedule(): void {
  if (scheduled) return;
  scheduled = true;
  setImmediate(next);
}

function next(): void {
  scheduled = false;
  const go = waiting.shift();
  if (waiting.length > 0) schedule();
  go?.();
}
