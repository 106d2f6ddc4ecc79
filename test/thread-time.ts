// How long this thread has been at work: a bound of it holds also where other processes take their turns.

/** Milliseconds that the thread has computed so far. */
export function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
