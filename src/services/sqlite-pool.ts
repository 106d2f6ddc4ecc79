// Hands statements to processes that run SQLite. No plugin gets all of them, and none gets longer than its deadline.

import type { SqliteAnswer, SqliteFailureKind, SqliteRequest } from "./sqlite-protocol.ts";
import { SqliteProcess } from "./sqlite-process.ts";

/** Options of a pool, complete. */
export interface SqlitePoolOptions {
  readonly maxProcesses: number;
  /** Milliseconds without work after which a process ends. */
  readonly idleMs: number;
}

/** How a statement is run. */
export interface SqliteJobOptions {
  /** Whose statement it is. */
  readonly plugin: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

interface Job {
  readonly request: SqliteRequest;
  readonly plugin: string;
  readonly settle: (answer: SqliteAnswer) => void;
}

interface Member {
  readonly process: SqliteProcess;
  job: Job | undefined;
  idle: NodeJS.Timeout | undefined;
}

/** Processes that run SQLite, started when they are needed. */
export class SqlitePool {
  readonly #options: SqlitePoolOptions;
  readonly #members = new Set<Member>();
  readonly #waiting: Job[] = [];
  #closed = false;

  constructor(options: SqlitePoolOptions) {
    this.#options = options;
  }

  /** Starts a process, so that the first statement need not wait for it. */
  warm(): void {
    if (this.#members.size === 0 && !this.#closed) this.#start();
  }

  /** Runs a statement. It never fails: an answer says what was wrong. */
  run(request: SqliteRequest, { plugin, timeoutMs, signal }: SqliteJobOptions): Promise<SqliteAnswer> {
    const { promise, resolve } = Promise.withResolvers<SqliteAnswer>();
    const job: Job = {
      request,
      plugin,
      settle: (answer) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
        resolve(answer);
      },
    };
    const abort = (): void => this.#give(job, "time", "the call is over");
    const timer = setTimeout(() => this.#give(job, "time", `it took longer than ${timeoutMs} ms`), timeoutMs);
    if (this.#closed) job.settle({ kind: "unavailable", reason: "the services are closed" });
    else if (signal.aborted) abort();
    else {
      signal.addEventListener("abort", abort);
      this.#waiting.push(job);
      this.#dispatch();
    }
    return promise;
  }

  /** Ends all processes, and fails what they were doing. */
  close(): void {
    this.#closed = true;
    for (const member of this.#members) this.#lose(member, "the services were closed");
    for (const job of this.#waiting.splice(0)) job.settle({ kind: "unavailable", reason: "the services were closed" });
  }

  /** Ends a job before its time; a statement that runs can only be ended with its process. */
  #give(job: Job, kind: SqliteFailureKind, reason: string): void {
    const at = this.#waiting.indexOf(job);
    if (at >= 0) this.#waiting.splice(at, 1);
    for (const member of this.#members) if (member.job === job) this.#remove(member);
    job.settle({ kind, reason });
    this.#dispatch();
    // The next query need not wait for a process to start.
    this.warm();
  }

  #dispatch(): void {
    if (this.#closed) return;
    for (let index = 0; index < this.#waiting.length;) {
      const job = this.#waiting[index] as Job;
      if (this.#running(job.plugin) >= Math.max(1, this.#options.maxProcesses - 1)) {
        index++;
        continue;
      }
      const member = this.#free();
      if (member === undefined) break;
      this.#waiting.splice(index, 1);
      clearTimeout(member.idle);
      member.job = job;
      member.process.hold(true);
      member.process.send(job.request);
    }
    const starting = Array.from(this.#members).filter(({ process }) => !process.ready).length;
    if (this.#waiting.length > starting && this.#members.size < this.#options.maxProcesses) this.#start();
  }

  #running(plugin: string): number {
    let count = 0;
    for (const { job } of this.#members) if (job?.plugin === plugin) count++;
    return count;
  }

  #free(): Member | undefined {
    for (const member of this.#members) if (member.job === undefined && member.process.ready) return member;
    return undefined;
  }

  #start(): void {
    const member: Member = {
      process: new SqliteProcess({
        onReady: () => {
          this.#rest(member);
          this.#dispatch();
        },
        onAnswer: (answer) => {
          const { job } = member;
          member.job = undefined;
          if ("last" in answer) this.#remove(member);
          else this.#rest(member);
          job?.settle(answer);
          this.#dispatch();
        },
        onExit: (reason) => {
          this.#lose(member, `the process for SQLite failed: ${reason}`);
          // One that cannot start will not start the next time: whoever waits for it learns why.
          if (!member.process.ready)
            for (const job of this.#waiting.splice(0)) job.settle({ kind: "unavailable", reason: `the process for SQLite failed: ${reason}` });
          this.#dispatch();
        },
      }),
      job: undefined,
      idle: undefined,
    };
    this.#members.add(member);
  }

  #rest(member: Member): void {
    member.process.hold(false);
    clearTimeout(member.idle);
    member.idle = setTimeout(() => this.#remove(member), this.#options.idleMs).unref();
  }

  #lose(member: Member, reason: string): void {
    this.#remove(member);
    member.job?.settle({ kind: "unavailable", reason });
  }

  #remove(member: Member): void {
    clearTimeout(member.idle);
    this.#members.delete(member);
    member.process.kill();
  }
}
