// Watching: files that are replaced, half written, broken and mended again. Events and timers are the test's own where time matters.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync, renameSync, mkdirSync } from "node:fs";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it, mock } from "node:test";

import { type Listen, watchFile } from "../../src/manager/watch.ts";
import { Lifecycles, answering, open } from "./hosts.ts";

const folder = mkdtempSync(join(tmpdir(), "mortise-watch-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
const newFile = (): string => join(folder, `plugin-${files++}.wasm`);
const sha256 = (text: string | Uint8Array): string => createHash("sha256").update(text).digest("hex");

/** Lets what looks at a file come to its end: so often as this, one after the other, it does not read it. */
async function settled(path: string): Promise<void> {
  for (let turn = 0; turn < 50; turn++) {
    await readFile(path).catch(() => undefined);
    await new Promise(setImmediate);
  }
}

interface Watched {
  readonly path: string;
  /** Digests that were reported. */
  readonly found: string[];
  readonly event: () => void;
  /** Folders that were listened to, and how often that was ended. */
  readonly listened: string[];
  readonly ended: () => number;
  /** What is called by who listens, when the folder can no longer be listened to. */
  readonly lose: () => void;
  /** Lets time pass, and whatever it has set off come to its end. */
  readonly pass: (ms: number) => Promise<void>;
  readonly close: () => void;
}

/** A watch on a file with the content "first", with events and time of its own. */
function watched(onChange: (digest: string) => Promise<void> = async () => {}, path: string = newFile()): Watched {
  writeFileSync(path, "first");
  const found: string[] = [];
  const listened: string[] = [];
  let ended = 0;
  let event = (): void => {};
  let lose = (): void => {};
  const listen: Listen = (place, onEvent, onLost) => {
    listened.push(place);
    event = onEvent;
    lose = onLost;
    return () => ended++;
  };
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  const watch = watchFile({
    path,
    digest: sha256("first"),
    listen,
    onChange: async (digest) => {
      found.push(digest);
      await onChange(digest);
    },
  });
  return {
    path,
    found,
    event: () => event(),
    listened,
    ended: () => ended,
    lose: () => lose(),
    async pass(ms) {
      mock.timers.tick(ms);
      await settled(path);
    },
    close() {
      watch.close();
      mock.timers.reset();
    },
  };
}

describe("watchFile", () => {
  it("reports a content when it has stayed for a moment, and once", async () => {
    const { path, found, event, pass, close } = watched();
    await pass(100);
    writeFileSync(path, "second");
    event();
    await pass(99);
    event();
    await pass(99);
    assert.deepEqual(found, [], "events come on");
    await pass(1);
    assert.deepEqual(found, [], "it is looked at twice");
    await pass(100);
    assert.deepEqual(found, [sha256("second")]);
    for (let time = 0; time < 3; time++) {
      event();
      await pass(100);
    }
    assert.equal(found.length, 1);
    close();
  });

  it("does not report a file that is written on", async () => {
    const { path, found, event, pass, close } = watched();
    await pass(100);
    for (const text of ["sec", "secon", "second"]) {
      writeFileSync(path, text);
      event();
      await pass(100);
    }
    await pass(100);
    assert.deepEqual(found, [sha256("second")]);
    close();
  });

  it("does not report a file that was touched, or put back as it was", async () => {
    const { path, found, event, pass, close } = watched();
    await pass(100);
    writeFileSync(path, "first");
    event();
    await pass(100);
    writeFileSync(path, "second");
    event();
    await pass(100);
    writeFileSync(path, "first");
    event();
    await pass(100);
    await pass(100);
    assert.deepEqual(found, []);
    close();
  });

  it("waits for a file that is away", async () => {
    const { path, found, event, pass, close } = watched();
    await pass(100);
    unlinkSync(path);
    event();
    await pass(100);
    writeFileSync(`${path}.new`, "second");
    renameSync(`${path}.new`, path);
    event();
    await pass(100);
    await pass(100);
    assert.deepEqual(found, [sha256("second")]);
    close();
  });

  it("reports a content that was there before it watched", async () => {
    const { path, found, pass, close } = watched();
    writeFileSync(path, "second");
    await pass(100);
    await pass(100);
    assert.deepEqual(found, [sha256("second")]);
    close();
  });

  it("does not report a second content before the first one was dealt with", async () => {
    const dealt = Promise.withResolvers<void>();
    const { path, found, event, pass, close } = watched(() => dealt.promise);
    for (const text of ["second", "third"]) {
      writeFileSync(path, text);
      event();
      await pass(100);
      await pass(100);
    }
    assert.deepEqual(found, [sha256("second")]);
    dealt.resolve();
    await pass(0);
    await pass(100);
    await pass(100);
    assert.deepEqual(found, [sha256("second"), sha256("third")]);
    close();
  });

  it("reports nothing once it is closed", async () => {
    const { path, found, event, pass, close } = watched();
    writeFileSync(path, "second");
    event();
    await pass(100);
    close();
    mock.timers.enable({ apis: ["setTimeout"] });
    event();
    await pass(1000);
    assert.deepEqual(found, []);
    mock.timers.reset();
  });

  it("is not put off by events that do not end", async () => {
    const { path, found, event, pass, close } = watched();
    await pass(100);
    writeFileSync(path, "second");
    for (let time = 0; time < 5; time++) {
      event();
      await pass(50);
    }
    assert.deepEqual(found, [sha256("second")]);
    close();
  });

  it("follows a link to a folder that is made to lead elsewhere, and a folder that is made anew", async () => {
    const place = join(folder, "linked-folder");
    for (const version of ["1", "2"]) mkdirSync(join(place, version), { recursive: true });
    symlinkSync("1", join(place, "now"));
    const path = join(place, "now", "plugin.wasm");
    const { found, event, listened, ended, pass, close } = watched(undefined, path);
    await pass(100);
    writeFileSync(join(place, "2", "plugin.wasm"), "second");
    symlinkSync("2", join(place, "next"));
    renameSync(join(place, "next"), join(place, "now"));
    await pass(2000);
    await pass(100);
    await pass(100);
    assert.deepEqual([found, listened.length, ended()], [[sha256("second")], 2, 1], "nothing told of it");
    rmSync(join(place, "2"), { recursive: true });
    await pass(2000);
    await pass(100);
    assert.equal(ended(), 2, "there is no folder");
    mkdirSync(join(place, "2"));
    writeFileSync(path, "third");
    await pass(2000);
    await pass(100);
    await pass(100);
    assert.deepEqual([found.length, listened.length, ended()], [2, 3, 2]);
    writeFileSync(path, "fourth");
    event();
    await pass(100);
    await pass(100);
    assert.deepEqual(found.slice(1), [sha256("third"), sha256("fourth")]);
    close();
    assert.equal(ended(), 3);
  });

  it("goes on, and listens again, when the folder could not be listened to any longer", async () => {
    const { path, found, listened, lose, pass, close } = watched();
    await pass(100);
    lose();
    writeFileSync(path, "second");
    await pass(2000);
    await pass(100);
    await pass(100);
    assert.deepEqual([found, listened.length], [[sha256("second")], 2]);
    close();
  });
});

describe("host.plugins.watch", () => {
  it("reloads a plugin when its file is replaced, and goes on as it was while the file is broken", async () => {
    const warnings: string[] = [];
    const logger = { warn: (text: string) => void warnings.push(text), trace() {}, debug() {}, info() {}, error() {} };
    await using host = await open({ logger });
    using published = new Lifecycles();
    const path = newFile();
    writeFileSync(path, await answering("one"));
    await host.plugins.load(path, { name: "a", watch: true });
    const failed = published.until(({ to }) => to === "failed");
    writeFileSync(path, (await answering("two")).slice(0, 50));
    await failed;
    assert.deepEqual([await host.hooks.check(1), host.plugins.describe("a").lastFailure?.code], ["one", "MORTISE_WASM_MALFORMED"]);
    const ready = published.until(({ to, version }) => to === "ready" && version === "3");
    writeFileSync(`${path}.new`, await answering("two"));
    renameSync(`${path}.new`, path);
    await ready;
    assert.equal(await host.hooks.check(1), "two");
    assert.match(warnings.join(), /^plugin "a" goes on as it was: Cannot read .* at byte \d+$/);
    assert.deepEqual([host.plugins.describe("a").watched, host.plugins.describe("a").file], [true, path]);
  });

  it("follows a link that is made to lead elsewhere", async () => {
    await using host = await open();
    using published = new Lifecycles();
    const place = join(folder, "linked");
    for (const version of ["1", "2"]) {
      mkdirSync(join(place, version), { recursive: true });
      writeFileSync(join(place, version, "plugin.wasm"), await answering(version));
    }
    symlinkSync("1", join(place, "now"));
    symlinkSync("now/plugin.wasm", join(place, "plugin.wasm"));
    await host.plugins.load(join(place, "plugin.wasm"), { name: "a" });
    const watch = host.plugins.watch();
    const ready = published.until(({ to, version }) => to === "ready" && version === "2");
    symlinkSync("2", join(place, "next"));
    renameSync(join(place, "next"), join(place, "now"));
    await ready;
    assert.equal(await host.hooks.check(1), "2");
    watch.close();
    assert.equal(host.plugins.describe("a").watched, false);
  });

  it("does not load again what somebody has loaded already: the version before stays for a rollback", async () => {
    await using host = await open();
    const path = newFile();
    writeFileSync(path, await answering("one"));
    mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
    try {
      await host.plugins.load(path, { name: "a", watch: true });
      const pass = async (): Promise<void> => {
        mock.timers.tick(2000);
        await settled(path);
      };
      await pass();
      writeFileSync(path, await answering("two"));
      await host.plugins.reload("a");
      for (let time = 0; time < 3; time++) await pass();
      host.plugins.rollback("a");
      assert.deepEqual([host.plugins.describe("a").version, await host.hooks.check(1)], ["1", "one"]);
    } finally {
      mock.timers.reset();
    }
  });

  it("watches a plugin that took the place of another one, if that is asked for", async () => {
    await using host = await open();
    const path = newFile();
    writeFileSync(path, await answering("one"));
    await host.plugins.load(await answering("none"), { name: "a" });
    await host.plugins.load(path, { name: "a", replace: true, watch: true });
    assert.deepEqual([host.plugins.describe("a").watched, host.plugins.describe("a").file], [true, path]);
  });

  it("does not bring back at once what was rolled back", async () => {
    await using host = await open();
    using published = new Lifecycles();
    const path = newFile();
    writeFileSync(path, await answering("one"));
    mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
    try {
      await host.plugins.load(path, { name: "a", watch: true });
      const pass = async (): Promise<void> => {
        mock.timers.tick(2000);
        await settled(path);
      };
      await pass();
      writeFileSync(path, await answering("two"));
      const ready = published.until(({ to, version }) => to === "ready" && version === "2");
      for (let time = 0; time < 3; time++) await pass();
      await ready;
      host.plugins.rollback("a");
      const { length } = published.changes;
      for (let time = 0; time < 3; time++) await pass();
      assert.deepEqual(
        published.changes.slice(length).filter((change) => change.startsWith("3")),
        [],
      );
      assert.equal(host.plugins.describe("a").version, "1");
    } finally {
      mock.timers.reset();
    }
  });

  it("watches the file of the version that serves", async () => {
    await using host = await open();
    using published = new Lifecycles();
    const [first, second] = [newFile(), newFile()];
    writeFileSync(first, await answering("one"));
    writeFileSync(second, await answering("two"));
    await host.plugins.load(first, { name: "a", watch: true });
    await host.plugins.stage("a", second, { version: "file" });
    await host.plugins.stage("a", await answering("three"), { version: "bytes" });
    const watching = (): unknown[] => [host.plugins.describe("a").watched, host.plugins.describe("a").file];
    host.plugins.switchTo("a", "bytes");
    assert.deepEqual(watching(), [false, undefined]);
    host.plugins.switchTo("a", "file");
    assert.deepEqual(watching(), [true, second]);
    const ready = published.until(({ to, from, version }) => from === "loading" && to === "ready" && version === "2");
    writeFileSync(second, await answering("four"));
    await ready;
    assert.equal(await host.hooks.check(1), "four");
    host.plugins.switchTo("a", "file");
    host.plugins.rollback("a");
    assert.deepEqual(watching(), [true, second], "version 2 is of the same file");
  });

  it("watches all that come from files, those loaded later included, and no others", async () => {
    await using host = await open();
    const path = newFile();
    writeFileSync(path, await answering("one"));
    using watch = { end: host.plugins.watch(), [Symbol.dispose]: () => watch.end.close() };
    await host.plugins.load(path, { name: "a" });
    await host.plugins.load(await answering("two"), { name: "b" });
    assert.deepEqual(
      ["a", "b"].map((name) => host.plugins.describe(name).watched),
      [true, false],
    );
    assert.throws(() => host.plugins.watch("b"), { code: "MORTISE_INVALID_OPTION" });
    assert.throws(() => host.plugins.watch("c"), { code: "MORTISE_UNKNOWN_PLUGIN" });
  });
});
