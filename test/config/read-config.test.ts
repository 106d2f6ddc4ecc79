// readConfig: files, and files that include files.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, it } from "node:test";

import type { ConfigProblem } from "../../src/config/problems.ts";
import { readConfig } from "../../src/config/read-config.ts";
import { errorOf } from "./faults.ts";

const root = mkdtempSync(join(tmpdir(), "mortise-config-"));
after(() => rmSync(root, { recursive: true, force: true }));
let count = 0;

/** Writes files into a folder of their own, and gives the path of the first. */
function files(contents: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = join(root, String(count++));
  mkdirSync(folder);
  for (const [name, content] of Object.entries(contents)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return join(folder, Object.keys(contents)[0] ?? "");
}

/** Each problem as `file:line:column reason`, with paths from the main file's folder. */
async function problemsOf(path: string): Promise<string[]> {
  const { code, details } = await errorOf(readConfig(path));
  assert.equal(code, "MORTISE_CONFIG_INVALID");
  return (details["problems"] as readonly ConfigProblem[]).map(({ source, line, column, reason }) =>
    `${source}:${line ?? ""}:${column ?? ""} ${reason}`.replaceAll(`${dirname(path)}/`, ""),
  );
}

const plugin = (name: string): string => `[[plugins]]\nname = "${name}"\nsource = "${name}.wasm"\n`;

describe("readConfig", () => {
  it("reads TOML, and JSON by the name of the file, with paths from the file's own folder", async () => {
    const toml = await readConfig(files({ "mortise.toml": plugin("a") }));
    const json = await readConfig(files({ "mortise.json": '{"$schema": "x", "plugins": [{"name": "a", "source": "a.wasm"}]}' }));
    assert.deepEqual(toml.plugins[0]?.source, join(dirname(toml.documents[0]?.path ?? ""), "a.wasm"));
    assert.deepEqual(json.plugins[0]?.source, join(dirname(json.documents[0]?.path ?? ""), "a.wasm"));
  });

  it("takes a path from the working directory", async () => {
    const path = files({ "mortise.toml": plugin("a") });
    const script = `import { readConfig } from ${JSON.stringify(new URL("../../src/config/read-config.ts", import.meta.url).href)};
      console.log((await readConfig("mortise.toml")).plugins[0].source);`;
    const printed = execFileSync(process.execPath, ["--conditions=source", "--input-type=module", "-e", script], {
      cwd: dirname(path),
      encoding: "utf8",
    });
    assert.ok(printed.trim().endsWith(`${dirname(path).slice(1)}/a.wasm`), printed);
  });

  it("says that a file is not there, or is none", async () => {
    const path = files({ "a.toml": "" });
    const missing = await errorOf(readConfig(`${path}x`));
    assert.deepEqual([missing.code, missing.message], ["MORTISE_SOURCE_NOT_FOUND", `Cannot read "${path}x": the file does not exist`]);
    const folder = await errorOf(readConfig(dirname(path)));
    assert.deepEqual([folder.code, folder.message], ["MORTISE_SOURCE_UNREADABLE", `Cannot read "${dirname(path)}": it is a directory`]);
    const device = await errorOf(readConfig("/dev/zero"));
    assert.deepEqual([device.code, device.message], ["MORTISE_SOURCE_UNREADABLE", 'Cannot read "/dev/zero": it is not a regular file']);
    const large = await errorOf(readConfig(files({ "a.toml": " ".repeat(2 ** 20 + 1) })));
    assert.match(large.message, /: it has more than the 1048576 bytes that it may have$/);
  });

  it("refuses what is not UTF-8, with the place", async () => {
    const path = files({ "a.toml": Buffer.concat([Buffer.from("# x\n# "), Buffer.from([0xff, 0x0a])]) });
    assert.deepEqual(await problemsOf(path), [`"a.toml":2:3 it is not valid UTF-8`]);
    assert.match((await problemsOf(files({ "a.toml": Buffer.from("\ufeffx = 1", "utf16le") })))[0] ?? "", /it is not valid UTF-8$/);
  });

  it("refuses YAML with words of its own", async () => {
    assert.deepEqual(await problemsOf(files({ "a.yaml": "plugins: []" })), ['"a.yaml":: it is YAML, but a configuration is written in TOML or JSON']);
  });
});

describe("readConfig's includes", () => {
  it("add plugins, databases and hooks, each with paths from its own folder", async () => {
    const path = files({
      "main.toml": `include = ["sub/a.toml", "b.json"]\n[databases.main]\nkind = "sqlite"\npath = "x.db"\n${plugin("m")}`,
      "sub/a.toml": `include = ["deeper/c.toml"]\n${plugin("a")}permissions = { databases = { main = "read" }, paths = { data = "/data" } }\n[hooks.save]\ntimeout_ms = 5`,
      "sub/deeper/c.toml": plugin("c"),
      "b.json": '{"plugins": [{"name": "b", "source": "b.wasm"}]}',
    });
    const config = await readConfig(path);
    const folder = dirname(path);
    assert.deepEqual(
      config.plugins.map(({ source }) => source),
      ["m.wasm", "sub/a.wasm", "sub/deeper/c.wasm", "b.wasm"].map((name) => join(folder, name)),
    );
    assert.deepEqual(Object.keys(config.plugins[1]?.permissions.paths ?? {}), [join(folder, "sub/data")]);
    assert.deepEqual([Object.keys(config.hooks), config.documents.length], [["save"], 4]);
  });

  it("are bound by the defaults and ceilings of the main file, which nothing else may have", async () => {
    const main = (more: string): string =>
      files({
        "main.toml":
          'include = ["a.toml"]\n[defaults]\nisolation = "thread"\n[ceilings]\nlimits.memory_mb = 32\npermissions.hosts = ["*.example.com"]\n',
        "a.toml": `${plugin("a")}${more}`,
      });
    assert.equal((await readConfig(main(""))).plugins[0]?.isolation, "thread");
    assert.deepEqual(await problemsOf(main("limits.memory_mb = 64\npermissions.hosts = ['a.example.com', 'evil.org']")), [
      '"a.toml":4:8 plugins[0].limits.memory_mb is 64, but ceilings.limits.memory_mb allows 32',
      '"a.toml":5:39 plugins[0].permissions.hosts[1] is more than ceilings.permissions.hosts allows',
    ]);
    for (const table of ["defaults", "ceilings", "services"])
      assert.deepEqual(await problemsOf(main(`[${table}]`)), [`"a.toml":4:2 ${table} counts in the main file only; move it there`]);
    assert.deepEqual(await problemsOf(main("[store]\nkind = 'memory'")), ['"a.toml":4:2 store counts in the main file only; move it there']);
    assert.deepEqual(await problemsOf(main(`[[native]]\npath = 'x'\ndigest = "sha256:${"0".repeat(64)}"`)), [
      '"a.toml":4:3 native counts in the main file only; move it there',
    ]);
  });

  it("may not close a circle, which is shown", async () => {
    const path = files({ "a.toml": 'include = ["b.toml"]', "b.toml": 'include = ["c.toml"]', "c.toml": 'include = ["b.toml"]' });
    assert.deepEqual(await problemsOf(path), ['"c.toml":1:12 include[0] closes a circle: "b.toml" → "c.toml" → "b.toml"']);
    const own = files({ "a.toml": 'include = ["./a.toml"]' });
    assert.deepEqual(await problemsOf(own), ['"a.toml":1:12 include[0] closes a circle: "a.toml" → "a.toml"']);
    const linked = files({ "a.toml": 'include = ["link.toml"]' });
    symlinkSync("a.toml", join(dirname(linked), "link.toml"));
    assert.deepEqual(await problemsOf(linked), ['"a.toml":1:12 include[0] closes a circle: "a.toml" → "a.toml"']);
  });

  it("may not include a file twice", async () => {
    const path = files({ "a.toml": 'include = ["b.toml", "c.toml"]', "b.toml": 'include = ["c.toml"]', "c.toml": "" });
    assert.deepEqual(await problemsOf(path), ['"a.toml":1:22 include[1] is "c.toml", which is included already']);
  });

  it("name files that are there and can be read", async () => {
    const path = files({ "a.toml": 'include = ["none.toml", "sub", "/dev/null"]', "sub/x": "" });
    assert.deepEqual(await problemsOf(path), [
      '"a.toml":1:12 include[0] is "none.toml", which does not exist',
      '"a.toml":1:25 include[1] is "sub", which is a directory',
      '"a.toml":1:32 include[2] is "/dev/null", which is not a regular file',
    ]);
  });

  it("have a depth and a number", async () => {
    const chain = (length: number): Record<string, string> =>
      Object.fromEntries(
        Array.from({ length }, (_unused, index) => [`${index}.toml`, index === length - 1 ? "" : `include = ["${index + 1}.toml"]`]),
      );
    await readConfig(files(chain(9)));
    assert.deepEqual(await problemsOf(files(chain(10))), ['"8.toml":1:12 include[0] is "9.toml", more than 8 files below the main one']);
    const many = (number: number): Record<string, string> => {
      const names = Array.from({ length: number }, (_unused, index) => `${index}.toml`);
      return { "main.toml": `include = ${JSON.stringify(names)}`, ...Object.fromEntries(names.map((name) => [name, ""])) };
    };
    await readConfig(files(many(63)));
    assert.match((await problemsOf(files(many(64))))[0] ?? "", /include\[63\] is "63.toml", but a configuration may have 64 files$/);
  });

  it("may not give a name a second meaning; both places are named", async () => {
    const path = files({
      "main.toml": `include = ["sub/a.toml"]\n${plugin("x")}[databases.d]\nkind = "sqlite"\npath = "d"\n[hooks.h]`,
      "sub/a.toml": `${plugin("x")}[databases.d]\nkind = "sqlite"\npath = "d"\n[hooks.h]`,
    });
    assert.deepEqual(await problemsOf(path), [
      '"sub/a.toml":2:1 plugins[0].name is "x", which is given twice: it stands at "main.toml", line 3, column 1, too',
      '"sub/a.toml":4:12 databases.d is given twice: it stands at "main.toml", line 5, column 12, too',
      '"sub/a.toml":7:8 hooks.h is given twice: it stands at "main.toml", line 8, column 8, too',
    ]);
  });

  it("report the faults of all files at once, those of syntax too", async () => {
    const path = files({ "main.toml": 'include = ["a.toml", "b.json"]\nx9 = 1', "a.toml": "y9 = 1\nz9 = 1", "b.json": '{"a": }' });
    assert.deepEqual(await problemsOf(path), [
      '"main.toml":2:1 x9 is unknown',
      '"a.toml":1:1 y9 is unknown',
      '"a.toml":2:1 z9 is unknown',
      '"b.json":1:7 it has "}" where a value must be',
    ]);
  });
});
