// Decisions that are kept: in memory, in files, in SQLite; what goes wrong there, and what somebody changes.
import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, describe, it } from "node:test";

import * as fc from "fast-check";

import { decisions } from "../../src/api/channels.ts";
import type { MortiseError } from "../../src/api/errors.ts";
import { type AuditEntry, CHAIN_START, lineOf } from "../../src/telemetry/audit/entry.ts";
import { type AuditVerdict, type VerifyOptions } from "../../src/telemetry/audit/chain-check.ts";
import { type AuditOptions, createAudit } from "../../src/telemetry/audit/create-audit.ts";
import { readAudit } from "../../src/telemetry/audit/read-audit.ts";
import { AuditSink, type AuditStorage } from "../../src/telemetry/audit/sink.ts";
import { decisionEvent } from "./events.ts";

const folder = mkdtempSync(join(tmpdir(), "telemetry-audit-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let made = 0;
const newPath = (): string => join(folder, `log-${made++}`);

/** A log with decisions for requests `r-1`, `r-2`, … */
async function logOf(path: string, count: number, options: AuditOptions = {}, from: number = 1): Promise<void> {
  await using audit = await createAudit({ sink: { file: path }, ...options });
  for (let at = from; at < from + count; at++) decisions.publish(decisionEvent({ request: `r-${at}` }));
  await audit.flush();
}

async function entriesOf(path: string, options: VerifyOptions = {}): Promise<{ entries: AuditEntry[]; verdict: AuditVerdict }> {
  const entries: AuditEntry[] = [];
  const verdict = await readAudit(path, { ...options, onEntry: (entry) => entries.push(entry) });
  return { entries, verdict };
}

const requestsOf = (entries: readonly AuditEntry[]): string[] => entries.map((entry) => ("request" in entry ? entry.request : entry.kind));
const requests = (from: number, to: number): string[] => Array.from({ length: to - from + 1 }, (_unused, at) => `r-${from + at}`);

describe("createAudit", () => {
  it("keeps every decision with its kind, its time and who took it", async () => {
    await using audit = await createAudit({ clock: () => Date.UTC(2026, 0, 2) });
    decisions.publish(decisionEvent());
    decisions.publish({ ...decisionEvent({ action: "replace", changed: ["sql"] }), function: "pre_query" });
    decisions.publish(decisionEvent({ action: "answer" }));
    decisions.publish(decisionEvent({ action: "answer", function: "route", target: "node b" }));
    decisions.publish(decisionEvent({ action: "continue", attributes: ["tenant"] }));
    const entries = audit.entries();
    assert.deepEqual(
      entries.map(({ kind }) => kind),
      ["block", "rewrite", "answer", "route", "attributes"],
    );
    assert.deepEqual(entries[0], {
      kind: "block",
      time: "2026-01-02T00:00:00.000Z",
      hook: "check",
      plugin: "p",
      version: "1",
      digest: "d".repeat(64),
      function: "check",
      request: "r-1",
      reason: "no",
    });
    assert.deepEqual([entries[1]?.changed, entries[3]?.target, entries[4]?.attributes], [["sql"], "node b", ["tenant"]]);
    assert.deepEqual(audit.stats(), { decisions: 5, sink: undefined });
  });

  it("keeps the last ones in memory, and finds those of a request or plugin", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom("a", "b"), fc.constantFrom("r-1", "r-2")), { maxLength: 40 }),
        fc.nat({ max: 12 }),
        async (list, ring) => {
          await using audit = await createAudit({ ring });
          for (const [plugin, request] of list) decisions.publish(decisionEvent({ plugin, request }));
          const kept = ring === 0 ? [] : list.slice(-ring);
          const pairs = (entries: readonly { plugin: string; request: string }[]): string[][] =>
            entries.map(({ plugin, request }) => [plugin, request]);
          assert.deepEqual(pairs(audit.entries()), kept);
          assert.deepEqual(
            pairs(audit.entries({ plugin: "a", request: "r-2" })),
            kept.filter(([plugin, request]) => plugin === "a" && request === "r-2"),
          );
          assert.deepEqual(pairs(audit.entries({ plugin: "b", last: 2 })), kept.filter(([plugin]) => plugin === "b").slice(-2));
        },
      ),
      { numRuns: 100 },
    );
  });

  it("finds a decision by a name that was cut", async () => {
    await using audit = await createAudit();
    const request = "r".repeat(300);
    decisions.publish(decisionEvent({ request }));
    assert.equal(audit.entries({ request }).length, 1);
  });

  it("keeps no more once it is closed", async () => {
    const audit = await createAudit();
    await audit.close();
    decisions.publish(decisionEvent());
    assert.deepEqual(audit.entries(), []);
    assert.equal(decisions.hasSubscribers, false);
  });

  for (const options of [
    { ring: -1 },
    { ring: 1.5 },
    { maxQueue: 0 },
    { key: "" },
    { sink: { file: "" } },
    { sink: { file: "x", maxBytes: 0 } },
    { sink: { file: "x", sync: 1 } },
    { sink: { sqlite: "x", maxBytes: 1 } },
    { rings: 1 },
  ]) {
    it(`refuses ${JSON.stringify(options)}`, async () => {
      await assert.rejects(createAudit(options), { code: "MORTISE_INVALID_OPTION" });
    });
  }

  it("cuts names that would fill the log", async () => {
    await using audit = await createAudit();
    decisions.publish(decisionEvent({ request: "r".repeat(1 << 20) }));
    assert.equal(audit.entries()[0]?.request.length, 257);
  });
});

for (const [kind, sinkOf] of [
  ["file", (path: string) => ({ file: path })],
  ["SQLite", (path: string) => ({ sqlite: path })],
] as const) {
  describe(`A log in ${kind}`, () => {
    it("has every decision in order, and goes on where it ended", async () => {
      const path = newPath();
      await logOf(path, 700, { sink: sinkOf(path) });
      await logOf(path, 5, { sink: sinkOf(path) }, 701);
      const { entries, verdict } = await entriesOf(path);
      assert.deepEqual(requestsOf(entries), requests(1, 705));
      assert.deepEqual(
        entries.map(({ seq }) => seq),
        Array.from({ length: 705 }, (_unused, at) => at + 1),
      );
      assert.deepEqual(
        { ...verdict, head: verdict.head.seq },
        { ok: true, entries: 705, head: 705, first: 1, lost: 0, problems: [], problemCount: 0 },
      );
      assert.equal(statSync(path).mode & 0o777, 0o600);
    });

    it("shows the key's absence, and refuses to go on with another one", async () => {
      const path = newPath();
      await logOf(path, 3, { sink: sinkOf(path), key: "k1" });
      assert.equal((await entriesOf(path, { key: "k1" })).verdict.ok, true);
      assert.equal((await entriesOf(path)).verdict.ok, false);
      await assert.rejects(createAudit({ sink: sinkOf(path), key: "k2" }), { code: "MORTISE_AUDIT_UNREADABLE" });
      assert.equal(decisions.hasSubscribers, false);
    });

    it("shows that its end was cut off, if its head was noted", async () => {
      const path = newPath();
      const audit = await createAudit({ sink: sinkOf(path) });
      for (const request of requests(1, 4)) decisions.publish(decisionEvent({ request }));
      await audit.flush();
      const head = audit.stats().sink?.head;
      assert.ok(head !== undefined);
      await audit.close();
      assert.equal((await entriesOf(path, { head })).verdict.ok, true);
      if (kind === "file") writeFileSync(path, `${readFileSync(path, "utf8").split("\n").slice(0, 3).join("\n")}\n`);
      else {
        const database = new DatabaseSync(path);
        database.exec("DELETE FROM mortise_audit WHERE seq > 3");
        database.close();
      }
      assert.equal((await entriesOf(path)).verdict.ok, true);
      assert.deepEqual(
        (await entriesOf(path, { head })).verdict.problems.map(({ reason }) => reason),
        ["entry 4 with the hash that was noted is missing"],
      );
    });
  });
}

describe("A log in a file that somebody changed", () => {
  const lines = async (): Promise<[path: string, lines: string[]]> => {
    const path = newPath();
    await logOf(path, 6);
    return [path, readFileSync(path, "utf8").trimEnd().split("\n")];
  };
  const cases: readonly (readonly [what: string, change: (lines: string[]) => string[]])[] = [
    ["a value", (all) => all.with(2, (all[2] ?? "").replace("r-3", "r-9"))],
    ["a space", (all) => all.with(2, `${all[2]} `)],
    ["an entry left out", (all) => all.toSpliced(2, 1)],
    ["an entry twice", (all) => all.toSpliced(2, 0, all[2] ?? "")],
    ["two entries in the other order", (all) => all.with(2, all[3] ?? "").with(3, all[2] ?? "")],
    ["a line that is no entry", (all) => all.toSpliced(2, 0, '{"kind":"block"}')],
    ["an empty line", (all) => all.toSpliced(2, 0, "")],
    ["a number", (all) => all.with(0, (all[0] ?? "").replace('"seq":1,', '"seq":7,'))],
  ];
  for (const [what, change] of cases) {
    it(`is found out: ${what}`, async () => {
      const [path, all] = await lines();
      writeFileSync(path, `${change(all).join("\n")}\n`);
      const { verdict } = await entriesOf(path);
      assert.equal(verdict.ok, false);
      assert.ok(verdict.problemCount >= 1);
    });
  }

  it("is found out wherever a byte is changed", async () => {
    const [path] = await lines();
    const bytes = readFileSync(path);
    const copy = newPath();
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), async (at, by) => {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] as number) ^ by;
        writeFileSync(copy, changed);
        assert.equal((await entriesOf(copy)).verdict.ok, false);
      }),
      { numRuns: 300, examples: [[bytes.length - 1, 1]] },
    );
  });

  it("is found out if a number is left out, although the hashes follow each other", async () => {
    const path = newPath();
    const record = { kind: "lost", time: "t", count: 1, reason: "r" } as const;
    const first = lineOf(record, CHAIN_START, undefined);
    const third = lineOf(record, { seq: 2, hash: first.hash }, undefined);
    writeFileSync(path, `${first.text}\n${third.text}\n`);
    assert.deepEqual((await entriesOf(path)).verdict.problems, [{ line: 2, reason: "it has number 3, but 2 should follow" }]);
  });

  it("is found out although the hash of a changed entry was made anew", async () => {
    const [path, all] = await lines();
    const forged = newPath();
    await logOf(forged, 6, {}, 101);
    const [, , third] = readFileSync(forged, "utf8").split("\n");
    writeFileSync(path, `${all.with(2, third ?? "").join("\n")}\n`);
    assert.deepEqual(
      (await entriesOf(path)).verdict.problems.map(({ line, reason }) => [line, reason]),
      [
        [3, "entry 3 does not follow the one before it"],
        [4, "entry 4 does not follow the one before it"],
      ],
    );
  });
});

describe("A log in SQLite that somebody changed", () => {
  for (const [what, sql] of [
    ["an entry", `UPDATE mortise_audit SET entry = replace(entry, 'r-3', 'r-9') WHERE seq = 3`],
    ["a column", `UPDATE mortise_audit SET plugin = 'other' WHERE seq = 3`],
    ["a row that is gone", `DELETE FROM mortise_audit WHERE seq = 3`],
    ["an entry that is no JSON", `UPDATE mortise_audit SET entry = 'x' WHERE seq = 3`],
  ] as const) {
    it(`is found out: ${what}`, async () => {
      const path = newPath();
      await logOf(path, 6, { sink: { sqlite: path } });
      const database = new DatabaseSync(path);
      database.exec(sql);
      database.close();
      assert.equal((await entriesOf(path)).verdict.ok, false);
    });
  }

  it("keeps so many entries as it may", async () => {
    const path = newPath();
    await logOf(path, 600, { sink: { sqlite: path, maxEntries: 100 } });
    const { entries, verdict } = await entriesOf(path);
    assert.deepEqual(requestsOf(entries), requests(501, 600));
    assert.deepEqual([verdict.ok, verdict.first], [true, 501]);
  });
});

describe("Files of a log", () => {
  it("are rotated by size, keep one chain, and the oldest go", async () => {
    const path = newPath();
    for (let round = 0; round < 10; round++) await logOf(path, 3, { sink: { file: path, maxBytes: 1000, maxFiles: 3 } }, round * 3 + 1);
    const names = readdirSync(folder).filter((name) => name.startsWith(path.slice(folder.length + 1)));
    assert.equal(names.length, 4);
    const { entries, verdict } = await entriesOf(path);
    assert.equal(verdict.ok, true);
    assert.deepEqual(requestsOf(entries), requests(verdict.first, 30));
    assert.ok(verdict.first > 1);
  });

  it("go on with the chain of the file that was rotated away, if nothing was written since", async () => {
    const path = newPath();
    await logOf(path, 3);
    renameSync(path, `${path}.1`);
    await logOf(path, 3, {}, 4);
    const { entries, verdict } = await entriesOf(path);
    assert.deepEqual([verdict.ok, requestsOf(entries)], [true, requests(1, 6)]);
  });

  it("lose what a crash has cut off, and say so", async () => {
    const path = newPath();
    await logOf(path, 3);
    appendFileSync(path, '{"seq":4,"kind":"bl');
    await logOf(path, 2, {}, 4);
    const { entries, verdict } = await entriesOf(path);
    assert.deepEqual([verdict.ok, requestsOf(entries)], [true, ["r-1", "r-2", "r-3", "recovered", "r-4", "r-5"]]);
  });

  it("are not continued if they are something else", async () => {
    for (const text of ["hello\n", "x".repeat(200_000), '{"seq":1}\n']) {
      const path = newPath();
      writeFileSync(path, text);
      await assert.rejects(createAudit({ sink: { file: path } }), { code: "MORTISE_AUDIT_UNREADABLE" });
      assert.equal(readFileSync(path, "utf8"), text);
    }
    const path = newPath();
    mkdirSync(path);
    await assert.rejects(createAudit({ sink: { file: path } }), { code: "MORTISE_AUDIT_UNREADABLE" });
    await assert.rejects(createAudit({ sink: { sqlite: path } }), { code: "MORTISE_AUDIT_UNREADABLE" });
  });

  it("cannot be read if they are not there", async () => {
    await assert.rejects(readAudit(newPath()), { code: "MORTISE_AUDIT_UNREADABLE", message: /it does not exist$/ });
  });

  it("are whole if there is nothing in them", async () => {
    const path = newPath();
    writeFileSync(path, "");
    assert.deepEqual((await entriesOf(path)).verdict, {
      ok: true,
      entries: 0,
      head: { seq: 0, hash: "0".repeat(64) },
      first: 0,
      lost: 0,
      problems: [],
      problemCount: 0,
    });
  });
});

/** A storage that fails while it is told to. */
function brittle(): AuditStorage & { broken: boolean; readonly lines: string[]; next(): Promise<void> } {
  const lines: string[] = [];
  let tried = Promise.withResolvers<void>();
  return {
    name: "a test",
    broken: false,
    lines,
    open: () => Promise.resolve({ head: { seq: 0, hash: "0".repeat(64) }, cutBytes: 0 }),
    /** Settled at the next attempt to write. */
    next: () => (tried = Promise.withResolvers()).promise,
    write(batch) {
      tried.resolve();
      if (this.broken) return Promise.reject(new Error("no space left on device"));
      lines.push(...batch.map(({ text }) => text));
      return Promise.resolve();
    },
    sync: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

/** A storage that writes, or fails to, when it is told to; once it is free, at once. */
function stepwise(): AuditStorage & { readonly lines: string[]; step(works: boolean): Promise<void>; free(): void } {
  const lines: string[] = [];
  let free = false;
  let finish: ((works: boolean) => void) | undefined;
  return {
    ...brittle(),
    lines,
    async write(batch) {
      const works = free || (await new Promise<boolean>((resolve) => (finish = resolve)));
      if (!works) throw new Error("no space left on device");
      lines.push(...batch.map(({ text }) => text));
    },
    async step(works) {
      // What was added is on its way by now.
      await new Promise(setImmediate);
      finish?.(works);
      finish = undefined;
      await new Promise(setImmediate);
    },
    free() {
      free = true;
      finish?.(true);
    },
  };
}

describe("A sink that cannot write", () => {
  const record = (request: string) =>
    ({ kind: "block", time: "t", hook: "h", plugin: "p", version: "1", digest: "", function: "f", request }) as const;

  it("is reported once, tried again, and loses nothing that it has room for", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const storage = brittle();
    const errors: MortiseError[] = [];
    const sink = new AuditSink(storage, { maxQueue: 10, onError: (error) => errors.push(error) }, () => "t");
    await sink.open();
    storage.broken = true;
    for (let at = 1; at <= 8; at++) sink.add(record(`r-${at}`));
    await assert.rejects(sink.flush(), { code: "MORTISE_AUDIT_FAILED" });
    await assert.rejects(sink.flush(), { code: "MORTISE_AUDIT_FAILED" });
    assert.deepEqual(
      errors.map(({ message }) => message),
      ["Cannot write to audit log a test: no space left on device"],
    );
    assert.deepEqual([sink.stats().failures, sink.stats().waiting, sink.stats().lost], [2, 8, 0]);
    storage.broken = false;
    const tried = storage.next();
    t.mock.timers.tick(1000);
    await tried;
    await sink.flush();
    assert.equal(storage.lines.length, 8);
    assert.deepEqual([sink.stats().written, sink.stats().waiting], [8, 0]);
  });

  it("counts what it has no room for, and says so in the log, whose chain stays whole", async () => {
    const storage = brittle();
    const errors: MortiseError[] = [];
    const sink = new AuditSink(storage, { maxQueue: 3, onError: (error) => errors.push(error) }, () => "t");
    await sink.open();
    storage.broken = true;
    for (let at = 1; at <= 8; at++) sink.add(record(`r-${at}`));
    await assert.rejects(sink.flush());
    storage.broken = false;
    sink.add(record("r-9"));
    await sink.flush();
    sink.add(record("r-10"));
    await sink.close();
    const path = newPath();
    writeFileSync(path, `${storage.lines.join("\n")}\n`);
    const { entries, verdict } = await entriesOf(path);
    assert.deepEqual(requestsOf(entries), ["r-1", "r-2", "r-3", "lost", "r-10"]);
    assert.deepEqual([verdict.ok, verdict.lost, sink.stats().lost], [true, 6, 6]);
    assert.ok(errors.length >= 1);
  });

  it("says of what was lost where it would have stood", async () => {
    const step = fc.oneof(fc.record({ add: fc.integer({ min: 1, max: 700 }) }), fc.record({ write: fc.boolean() }));
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 600 }), fc.array(step, { maxLength: 30 }), async (maxQueue, steps) => {
        const storage = stepwise();
        const sink = new AuditSink(storage, { maxQueue, onError: () => {} }, () => "t");
        await sink.open();
        let added = 0;
        for (const each of steps) {
          if ("add" in each) for (let at = 0; at < each.add; at++) sink.add(record(`r-${++added}`));
          else await storage.step(each.write);
        }
        storage.free();
        await sink.flush().catch(() => sink.flush());
        const path = newPath();
        writeFileSync(path, storage.lines.map((line) => `${line}\n`).join(""));
        const { entries, verdict } = await entriesOf(path);
        const { lost, waiting } = sink.stats();
        assert.deepEqual([verdict.ok, verdict.lost, waiting], [true, lost, 0]);
        // An entry stands for itself, and a notice for so many as it counts.
        let next = 1;
        for (const entry of entries) {
          if ("request" in entry) assert.equal(entry.request, `r-${next}`);
          next += entry.kind === "lost" ? entry.count : 1;
        }
        assert.equal(next - 1, added);
        await sink.close();
      }),
      { numRuns: 200, examples: [[600, [{ add: 300 }, { write: true }, { add: 700 }, { add: 1 }, { write: true }, { add: 5 }]]] },
    );
  });

  it("loses what still waits when it is closed, and counts it", async () => {
    const storage = brittle();
    const sink = new AuditSink(storage, { onError: () => {} }, () => "t");
    await sink.open();
    storage.broken = true;
    for (let at = 1; at <= 4; at++) sink.add(record(`r-${at}`));
    await sink.close();
    sink.add(record("r-5"));
    assert.deepEqual([sink.stats().lost, sink.stats().waiting], [5, 0]);
  });

  it("does not count a notice of lost entries as one that was lost", async () => {
    const storage = stepwise();
    const sink = new AuditSink(storage, { maxQueue: 2, onError: () => {} }, () => "t");
    await sink.open();
    for (let at = 1; at <= 3; at++) sink.add(record(`r-${at}`));
    await storage.step(true);
    assert.deepEqual([sink.stats().written, sink.stats().waiting], [2, 1], "the notice waits");
    const closed = sink.close();
    await storage.step(false);
    await closed;
    assert.equal(sink.stats().lost, 1);
  });

  it("is not stopped by who is told", async () => {
    const storage = brittle();
    const fail = (): never => {
      throw new Error("told");
    };
    const sink = new AuditSink(storage, { onError: fail }, () => "t");
    await sink.open();
    storage.broken = true;
    sink.add(record("r-1"));
    await assert.rejects(sink.flush(), { code: "MORTISE_AUDIT_FAILED" });
    storage.broken = false;
    await sink.flush();
    assert.equal(storage.lines.length, 1);
  });

  it("leaves no part of a write that failed", async (t) => {
    const path = newPath();
    const audit = await createAudit({ sink: { file: path }, onError: () => {} });
    decisions.publish(decisionEvent({ request: "r-1" }));
    await audit.flush();
    const file = await open(path);
    const prototype = Object.getPrototypeOf(file) as FileHandle;
    await file.close();
    const write: unknown = Reflect.get(prototype, "write");
    // A disk that becomes full in the middle of a line.
    const half = t.mock.method(prototype, "write", async function (this: FileHandle, bytes: Uint8Array, offset: number) {
      await Reflect.apply(write as () => Promise<unknown>, this, [bytes, offset, 20]);
      throw new Error("no space left on device");
    });
    decisions.publish(decisionEvent({ request: "r-2" }));
    await assert.rejects(audit.flush(), { code: "MORTISE_AUDIT_FAILED" });
    half.mock.restore();
    assert.equal((await entriesOf(path)).verdict.ok, false);
    await audit.flush();
    await audit.close();
    const { entries, verdict } = await entriesOf(path);
    assert.deepEqual([verdict.ok, requestsOf(entries)], [true, ["r-1", "r-2"]]);
  });

  it("leaves no part of a write that failed in a file that is rotated next", async (t) => {
    const path = newPath();
    const audit = await createAudit({ sink: { file: path, maxBytes: 800 }, onError: () => {} });
    decisions.publish(decisionEvent({ request: "r-1" }));
    await audit.flush();
    const file = await open(path);
    const prototype = Object.getPrototypeOf(file) as FileHandle;
    await file.close();
    const write: unknown = Reflect.get(prototype, "write");
    const half = t.mock.method(prototype, "write", async function (this: FileHandle, bytes: Uint8Array, offset: number) {
      await Reflect.apply(write as () => Promise<unknown>, this, [bytes, offset, 20]);
      throw new Error("no space left on device");
    });
    decisions.publish(decisionEvent({ request: "r-2" }));
    await assert.rejects(audit.flush(), { code: "MORTISE_AUDIT_FAILED" });
    half.mock.restore();
    decisions.publish(decisionEvent({ request: "r-3" }));
    await audit.close();
    const { entries, verdict } = await entriesOf(path);
    assert.deepEqual([verdict.ok, requestsOf(entries)], [true, ["r-1", "r-2", "r-3"]]);
    assert.ok(statSync(`${path}.1`).size > 0, "it was rotated");
  });

  it("begins a new file where the present one was moved or deleted, in one chain", async () => {
    for (const [what, kept] of [
      ["moved", 2],
      ["deleted", 1],
    ] as const)
      for (const maxBytes of [1_000_000, 400]) {
        const path = newPath();
        await using audit = await createAudit({ sink: { file: path, maxBytes } });
        decisions.publish(decisionEvent({ request: "r-1" }));
        await audit.flush();
        if (what === "moved") renameSync(path, `${path}.1`);
        else rmSync(path);
        decisions.publish(decisionEvent({ request: "r-2" }));
        await audit.flush();
        const { entries, verdict } = await entriesOf(path);
        assert.deepEqual([verdict.ok, verdict.head.seq, requestsOf(entries)], [true, 2, requests(3 - kept, 2)], `${what}, ${maxBytes}`);
        assert.equal(statSync(path).mode & 0o777, 0o600);
      }
  });

  it("keeps what another process wrote into the file, for whoever checks it", async () => {
    const path = newPath();
    await using audit = await createAudit({ sink: { file: path } });
    decisions.publish(decisionEvent({ request: "r-1" }));
    await audit.flush();
    appendFileSync(path, "somebody else\n");
    decisions.publish(decisionEvent({ request: "r-2" }));
    await audit.flush();
    const { entries, verdict } = await entriesOf(path);
    assert.deepEqual([verdict.problems.map(({ line }) => line), requestsOf(entries)], [[2], ["r-1", "r-2"]]);
  });
});
