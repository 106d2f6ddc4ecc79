// readManifest: what is wrong with a manifest is said with its place, and where the text allows with line and column.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

import { isMortiseError } from "../../src/api/errors.ts";
import { BASE64, MODULE, base64, read, temporaryFolder, withModule } from "./modules.ts";

const folder = temporaryFolder();

async function faultOf(source: unknown): Promise<{ code: string; message: string; details: Record<string, unknown> }> {
  try {
    await read(source);
  } catch (error) {
    assert.ok(isMortiseError(error), String(error));
    return error;
  }
  return assert.fail("it was accepted");
}

describe("readManifest's faults in values", () => {
  const module = (more: object): object => ({ wasm: [{ data: BASE64, ...more }] });
  const only = (entry: unknown): object => ({ wasm: [entry] });
  const wasm = { wasm: [{ data: BASE64 }] };
  const digest = "0".repeat(64);
  const cases: readonly (readonly [manifest: object, reason: string])[] = [
    // no modules, or too many
    [{}, "wasm names no module; it must be an array of one module or more"],
    [{ wasm: [] }, "wasm names no module; it must be an array of one module or more"],
    [{ wasm: null }, "wasm names no module; it must be an array of one module or more"],
    [{ wasm: { path: "a.wasm" } }, "wasm is an object but must be an array"],
    [{ wasm: "a.wasm" }, 'wasm is "a.wasm" but must be an array'],
    [{ wasm: ["a.wasm"] }, 'wasm[0] is "a.wasm" but must be an object'],
    [{ wasm: [null] }, "wasm[0] is null but must be an object"],
    [{ wasm: [[]] }, "wasm[0] is an array but must be an object"],
    [{ wasm: Array.from({ length: 65 }, (_unused, index) => ({ data: BASE64, name: `m${index}` })) }, "wasm has 65 modules but may have 64"],
    // unknown keys
    [{ ...wasm, allowedHost: [] }, 'allowedHost is not a key of a manifest; did you mean "allowedHosts" or "allowed_hosts"?'],
    [{ ...wasm, timeout: 5 }, 'timeout is not a key of a manifest; did you mean "timeoutMs"?'],
    [{ ...wasm, "a key": 5 }, '["a key"] is not a key of a manifest'],
    [{ ...wasm, "\u001b[2J": 5 }, '["\\u001b[2J"] is not a key of a manifest'],
    [{ ...wasm, ["x".repeat(5000)]: 5 }, `["${"x".repeat(80)}…"] is not a key of a manifest`],
    [{ ...wasm, toString: 5 }, "toString is not a key of a manifest"],
    [JSON.parse(`{"wasm": [{"data": "${BASE64}"}], "__proto__": {"config": {}}}`) as object, "__proto__ is not a key of a manifest"],
    [only({ pth: "a.wasm" }), 'wasm[0].pth is not a key of a module; did you mean "path"?'],
    [{ wasm: [{ data: BASE64 }, { url: "https://x", header: {} }] }, 'wasm[1].header is not a key of a module; did you mean "headers"?'],
    [only({ req: { url: "https://x" } }), "wasm[0].req is not a key of a module; url, headers and method stand beside name"],
    [{ ...wasm, memory: { max_page: 5 } }, 'memory.max_page is not a key of memory; did you mean "max_pages"?'],
    [{ ...wasm, memory: JSON.parse('{"__proto__": 1}') as object }, "memory.__proto__ is not a key of memory"],
    // both spellings
    [{ ...wasm, allowed_hosts: [], allowedHosts: [] }, "allowedHosts and allowed_hosts are two spellings of one key; give one of them"],
    [{ ...wasm, memory: { maxPages: 1, max_pages: 1 } }, "memory.max_pages and maxPages are two spellings of one key; give one of them"],
    // where a module comes from
    [only({}), "wasm[0] names no module; give it one of path, url and data"],
    [only({ name: "main", path: null }), "wasm[0] names no module; give it one of path, url and data"],
    [module({ path: "a.wasm" }), "wasm[0] has both path and data; give one of them"],
    [module({ url: "https://x" }), "wasm[0] has both url and data; give one of them"],
    [only({ path: 5 }), "wasm[0].path is 5 but must be text"],
    [only({ path: "" }), "wasm[0].path is empty but must be text of at least one character"],
    [only({ path: "a\0b" }), 'wasm[0].path is "a\\u0000b" but must be text of at least one character'],
    [only({ path: "a\ud800" }), "wasm[0].path holds half of a surrogate pair, which no UTF-8 can express"],
    [only({ path: "https://x/a.wasm" }), "wasm[0].path is a URL; give it as url"],
    [only({ path: "file://host/a.wasm" }), 'wasm[0].path is "file://host/a.wasm", which is not a file of this machine'],
    [only({ url: "plugin.wasm" }), "wasm[0].url is not an absolute URL; give a file as path"],
    [only({ url: "https://user:secret@[" }), "wasm[0].url is not an absolute URL; give a file as path"],
    [only({ url: "ftp://user:secret@x/a.wasm" }), 'wasm[0].url is a URL of "ftp:" but must be one of http:, https: or file:'],
    [only({ url: ["https://x"] }), "wasm[0].url is an array but must be text"],
    [only({ url: "file:///a.wasm", headers: {} }), "wasm[0].headers stands beside a url of the network only"],
    [only({ data: 5 }), "wasm[0].data is 5 but must be bytes, or base64 of them"],
    [only({ data: [0, 97] }), "wasm[0].data is an array but must be bytes, or base64 of them"],
    [only({ data: new Uint16Array(4) }), "wasm[0].data is bytes but must be bytes, or base64 of them"],
    [only({ data: { ptr: 4096, len: 8 } }), "wasm[0].data is an address in memory, which means nothing here; give the bytes, or base64 of them"],
    [only({ response: 5 }), "wasm[0].response is 5 but must be a Response"],
    [only({ module: new WebAssembly.Module(MODULE) }), "wasm[0].module is a compiled module, which cannot be instrumented; give its bytes as data"],
    [only({ module: new WebAssembly.Module(MODULE), hash: digest }), "wasm[0].hash cannot be checked: a compiled module has no bytes any more; give them as data"],
    [only({ module: MODULE }), "wasm[0].module is bytes but must be a WebAssembly.Module"],
    // requests
    [module({ headers: {} }), "wasm[0].headers stands beside a url only"],
    [module({ method: "GET" }), "wasm[0].method stands beside a url only"],
    [only({ url: "https://x", method: "HEAD" }), 'wasm[0].method is "HEAD" but must be a method whose answer is the module, such as GET'],
    [only({ url: "https://x", method: "G T" }), 'wasm[0].method is "G T" but must be a method whose answer is the module, such as GET'],
    [only({ url: "https://x", headers: ["a"] }), "wasm[0].headers is an array but must be an object"],
    [only({ url: "https://x", headers: { a: 5 } }), "wasm[0].headers.a is 5 but must be text"],
    [only({ url: "https://x", headers: { "a b": "secret" } }), 'wasm[0].headers["a b"] is not a header of HTTP'],
    [only({ url: "https://x", headers: { a: "secret\nb: c" } }), "wasm[0].headers.a is not a header of HTTP"],
    [only({ url: "https://x", headers: { accept: "a", Accept: "b" } }), "wasm[0].headers.Accept is given twice"],
    // names and digests
    [module({ name: 5 }), "wasm[0].name is 5 but must be text"],
    [module({ name: "" }), "wasm[0].name is empty but must be text of at least one character"],
    [module({ hash: digest.slice(1) }), `wasm[0].hash is "${digest.slice(1)}" but must be the 64 hexadecimal digits of a SHA-256`],
    [module({ hash: `sha256:${digest}` }), `wasm[0].hash is "sha256:${digest}" but must be the 64 hexadecimal digits of a SHA-256`],
    [module({ hash: 5 }), "wasm[0].hash is 5 but must be the 64 hexadecimal digits of a SHA-256"],
    // settings
    [{ ...wasm, memory: 5 }, "memory is 5 but must be an object"],
    [{ ...wasm, memory: { maxPages: "5" } }, 'memory.maxPages is "5" but must be a whole number from 0 up'],
    [{ ...wasm, memory: { max_pages: -1 } }, "memory.max_pages is -1 but must be a whole number from 0 up"],
    [{ ...wasm, memory: { maxVarBytes: 1.5 } }, "memory.maxVarBytes is 1.5 but must be a whole number from 0 up"],
    [{ ...wasm, memory: { maxHttpResponseBytes: Number.NaN } }, "memory.maxHttpResponseBytes is NaN but must be a whole number from 0 up"],
    [{ ...wasm, timeoutMs: 0 }, "timeoutMs is 0 but must be a whole number from 1 up"],
    [{ ...wasm, timeout_ms: 2 ** 53 }, "timeout_ms is 9007199254740992 but must be a whole number from 1 up"],
    [{ ...wasm, timeoutMs: 5n }, "timeoutMs is a bigint but must be a whole number from 1 up"],
    [{ ...wasm, allowedHosts: "a" }, 'allowedHosts is "a" but must be an array'],
    [{ ...wasm, allowedHosts: ["a", 5] }, "allowedHosts[1] is 5 but must be text"],
    [{ ...wasm, allowed_hosts: [""] }, "allowed_hosts[0] is empty but must be text of at least one character"],
    [{ ...wasm, allowedHosts: [null] }, "allowedHosts[0] is null but must be text"],
    [{ ...wasm, allowedPaths: ["a"] }, "allowedPaths is an array but must be an object"],
    [{ ...wasm, allowedPaths: { a: true } }, "allowedPaths.a is true but must be text"],
    [{ ...wasm, allowedPaths: { "": "/a" } }, 'allowedPaths[""] has no path of this machine'],
    [{ ...wasm, allowedPaths: { "ro:": "/a" } }, 'allowedPaths["ro:"] has no path of this machine'],
    [{ ...wasm, allowed_paths: { "./a": "" } }, 'allowed_paths["./a"] has no path of the guest'],
    [{ ...wasm, allowed_paths: { a: "/x", "ro:b": "/x" } }, 'allowed_paths["ro:b"] gives the guest\'s path "/x" a second meaning'],
    [{ ...wasm, config: "a" }, 'config is "a" but must be an object'],
    [{ ...wasm, config: new Map([["a", "b"]]) }, "config is a Map but must be an object"],
    [{ ...wasm, config: { a: 5 } }, "config.a is 5 but must be text"],
    [{ ...wasm, config: { a: { b: "c" } } }, "config.a is an object but must be text"],
    [{ ...wasm, config: { a: null } }, "config.a is null but must be text; leave the key out"],
    [{ ...wasm, config: { a: new Date(0) } }, "config.a is a date but must be text"],
    [{ ...wasm, config: { a: "\udc00" } }, "config.a holds half of a surrogate pair, which no UTF-8 can express"],
    [{ ...wasm, config: { "\udc00": "a" } }, 'config has a key with half of a surrogate pair: "\udc00"'],
    [{ ...wasm, config: JSON.parse('{"__proto__": "x"}') as object }, "config.__proto__ cannot be a key"],
  ]; // prettier-ignore
  for (const [manifest, reason] of cases) {
    it(`say: ${reason.slice(0, 140)}`, async () => {
      const { code, message, details } = await faultOf(manifest);
      assert.deepEqual([code, details["reason"], message], ["MORTISE_MANIFEST_INVALID", reason, `Cannot use the manifest: ${reason.slice(0, 300)}`]);
    });
  }

  it("come before anything is read", async () => {
    const fetched: unknown[] = [];
    const source = { wasm: [{ url: "http://127.0.0.1:9/a.wasm" }, { name: "a", path: join(folder, "none"), hash: "x" }] };
    const options = { fetch: (url: unknown) => (fetched.push(url), Promise.reject(new Error())) };
    await assert.rejects(read(source, options), { code: "MORTISE_MANIFEST_INVALID" });
    assert.deepEqual(fetched, []);
  });

  it("do not concern what an object inherits", async () => {
    const inherited = Object.assign(Object.create({ config: 5, nonsense: 1 }) as object, withModule());
    assert.deepEqual({ ...(await read(inherited)).config }, {});
  });

  it("do not concern null, which is as if the key were not there", async () => {
    const entry = { data: BASE64, path: null, url: undefined, response: null, module: null, headers: null, method: null, name: null, hash: null };
    const rest = { memory: null, allowed_hosts: null, allowed_paths: null, config: null, timeout_ms: null, allowedHosts: undefined };
    const found = await read({ wasm: [entry], ...rest });
    assert.deepEqual([found.allowedHosts, found.allowedPaths, { ...found.config }, found.timeoutMs], [[], [], {}, undefined]);
    const { memory } = await read(withModule({ memory: { maxPages: null, max_var_bytes: null } }));
    assert.deepEqual(memory, { maxPages: undefined, maxHttpResponseBytes: undefined, maxVarBytes: undefined });
  });
});

describe("readManifest's faults in base64", () => {
  const cases: readonly (readonly [data: string, reason: string])[] = [
    ["AGFzbQEAAAA", 'has 11 characters, but base64 comes in fours, with "=" at the end'],
    ["AGFzbQEAAA==", ""],
    ["AGFzbQEAAAA==", 'has 13 characters, but base64 comes in fours, with "=" at the end'],
    ["AGFz bQEAAAA=", "has a space at character 5, which base64 has not"],
    ["AGFzbQEA\nAAA=", "has a line break at character 9, which base64 has not"],
    ["AGFz-QEAAAA=", 'has "-" of the alphabet for URLs at character 5, which base64 has not'],
    ["AGFz_QEAAAA=", 'has "_" of the alphabet for URLs at character 5, which base64 has not'],
    ["AGF=bQEAAAA=", 'has "=" at character 4, which base64 has not'],
    ["AGFzbQEAAA===", 'has "=" at character 11, which base64 has not'],
    ["AGFzbQ\u00e4AAAA=", "has U+00E4 at character 7, which base64 has not"],
    ["AGFzbQEAAAA=\u{1f600}", 'has "=" at character 12, which base64 has not'],
    ["AGFzbQEAAAB=", "is cut off or damaged: character 11 has bits that no byte takes"],
    ["AGFzbQEAAB==", "is cut off or damaged: character 10 has bits that no byte takes"],
    ["=", 'has 1 characters, but base64 comes in fours, with "=" at the end'],
    ["====", 'has "=" at character 1, which base64 has not'],
  ];
  for (const [data, reason] of cases) {
    it(`say of ${JSON.stringify(data)}: ${reason}`, async () => {
      const source = { wasm: [{ path: join(folder, "ok.wasm"), name: "a" }, { data }] };
      writeFileSync(join(folder, "ok.wasm"), MODULE);
      if (reason === "") return assert.equal((await read(source)).modules[1]?.bytes.length, 7);
      assert.equal((await faultOf(source)).message, `Cannot use the manifest: wasm[1].data ${reason}`);
    });
  }

  it("do not arise from empty data, which is no module", async () => {
    assert.equal((await faultOf({ wasm: [{ data: "" }] })).message.includes("it starts with nothing (it is empty)"), true);
  });

  it("stand at their line and column in JSON", async () => {
    const { message } = await faultOf(`{"wasm": [\n  {"name": "x", "data": "AGFz*QEAAAA="}\n]}`);
    assert.equal(message, 'Cannot use the manifest, line 2, column 17: wasm[0].data has "*" at character 5, which base64 has not');
  });
});

describe("readManifest's faults in text", () => {
  const good = `{"wasm": [{"data": "${BASE64}"}]`;
  const json: readonly (readonly [text: string, at: string, reason: string])[] = [
    ["{", "1, column 2", "it has its end where a key in double quotes must be"],
    [good, `1, column ${good.length + 1}`, 'it has its end where "," or "}" must be'],
    [`${good},}`, `1, column ${good.length + 2}`, 'it has "}" where a key in double quotes must be'],
    [`${good},\n "config": {"a": "b",\n "a": "c"}}`, "3, column 2", 'the key "a" is given twice'],
    [`{"wasm": [],\n"w\\u0061sm": []}`, "2, column 1", 'the key "wasm" is given twice'],
    [`{\n  // modules\n  "wasm": []}`, "2, column 3", 'it has "//" where a key in double quotes must be; JSON has no comments'],
    [`{wasm: []}`, "1, column 2", 'it has "wasm:" where a key in double quotes must be'],
    [`{'wasm': []}`, "1, column 2", `it has "'wasm':" where a key in double quotes must be`],
    [`{"wasm" []}`, "1, column 9", 'it has "[]}" where ":" must be'],
    [`{"wasm": [1 2]}`, "1, column 13", 'it has "2]}" where "," or "]" must be'],
    [`{"wasm": [01]}`, "1, column 11", 'it has "01]}" where a value must be'],
    [`{"wasm": [.5, +1]}`, "1, column 11", 'it has ".5," where a value must be'],
    [`{"wasm": NaN}`, "1, column 10", 'it has "NaN}" where a value must be'],
    [`{"wasm": True}`, "1, column 10", 'it has "True}" where a value must be'],
    [`{"wasm": ,}`, "1, column 10", 'it has ",}" where a value must be'],
    [`{"wasm": "a`, "1, column 10", "a text is not closed"],
    [`{"wasm": "a\nb"}`, "1, column 12", "a text holds a line break or another control character, which has to be escaped"],
    [`{"wasm": "\\x41"}`, "1, column 11", '"\\x" is not an escape of JSON'],
    [`{"wasm": "\\u12g4"}`, "1, column 11", '"\\u" is not an escape of JSON'],
    [`{"wasm": "\\`, "1, column 11", '"\\" is not an escape of JSON'],
    [`${good}}\n}`, "2, column 1", 'it has "}" where the end must be'],
    [`{"wasm": ${"[".repeat(40)}`, "1, column 41", "there are more than 32 levels"],
    // what the values are, with the place in the text
    [`{"wasm": [\n  {"data": "${BASE64}",\n   "pth": 5}]}`, "3, column 4", 'wasm[0].pth is not a key of a module; did you mean "path"?'],
    [`{"wasm": [{"name": "pth", "data": "x"},\r\n  {"pth": 5}]}`, "2, column 4", 'wasm[1].pth is not a key of a module; did you mean "path"?'],
    [`${good},\n\n  "allowed_hosts": ["a",\n    5]}`, "4, column 5", "allowed_hosts[1] is 5 but must be text"],
    [`${good}, "config": {"a": "\\ud800"}}`, `1, column ${good.length + 14}`, "config.a holds half of a surrogate pair, which no UTF-8 can express"],
    [`${good}, "timeout_ms": 1e999}`, `1, column ${good.length + 3}`, "timeout_ms is Infinity but must be a whole number from 1 up"],
  ];
  for (const [text, at, reason] of json) {
    it(`say of JSON ${JSON.stringify(text.replace(BASE64, "…")).slice(0, 70)}: ${reason}`, async () => {
      assert.equal((await faultOf(text)).message, `Cannot use the manifest, line ${at}: ${reason}`);
    });
  }

  const module = `[[wasm]]\ndata = "${BASE64}"\n`;
  const toml: readonly (readonly [text: string, at: string | undefined, reason: string | RegExp])[] = [
    [`[[wasm]]\npath = a.wasm\n`, "2, column 8", "invalid value"],
    [`[[wasm]]\npath = "a.wasm\n`, "2, column 15", "control characters are not allowed in strings"],
    [`[[wasm]]\npath = "a.wasm`, "2, column 8", "unfinished string"],
    [`${module}[config]\na = "b"\na = "c"\n`, "5, column 1", "trying to redefine an already defined table or value"],
    [`${module}[config]\n[config]\n`, "4, column 2", "trying to redefine an already defined table or value"],
    [`${module}timeout_ms = 9223372036854775807`, "3, column 14", "integer value cannot be represented losslessly"],
    [`${module}[config]\na = ${"[".repeat(40)}`, "4, column 37", "document contains excessively nested structures"],
    // what the values are: with the place in the text if the key stands there once
    [`${module}pth = 5\n`, "3, column 1", 'wasm[0].pth is not a key of a module; did you mean "path"?'],
    [`wasm = [{ data = "${BASE64}" , pth = 5 }]\n`, "1, column 35", 'wasm[0].pth is not a key of a module; did you mean "path"?'],
    [`${module}\n[memori]\nx = 1\n`, "4, column 2", 'memori is not a key of a manifest; did you mean "memory"?'],
    [`${module}\n[config]\na = 2025-01-01\n`, "5, column 1", "config.a is a date but must be text"],
    [`${module}\n[config]\n"a" = 0x10\n`, "5, column 2", "config.a is 16 but must be text"],
    [`${module}[[wasm]]\ndata = 5\n`, undefined, "wasm[1].data is 5 but must be bytes, or base64 of them"],
    [`${module}[config]\n"__proto__" = "x"\n`, "4, column 2", "config.__proto__ cannot be a key"],
    [`${module}[memory]\nmax_pages = inf\n`, "4, column 1", "memory.max_pages is Infinity but must be a whole number from 0 up"],
    [`${module}[memory]\nmax_pages = 1979-05-27T07:32:00Z\n`, "4, column 1", "memory.max_pages is a date but must be a whole number from 0 up"],
  ];
  for (const [text, at, reason] of toml) {
    it(`say of TOML ${JSON.stringify(text.replace(module, "…")).slice(0, 70)}: ${reason}`, async () => {
      const { message } = await faultOf(text);
      assert.equal(message, `Cannot use the manifest${at === undefined ? "" : `, line ${at}`}: ${reason}`);
    });
  }

  it("name the file, and its plain data holds place, line and column", async () => {
    const path = join(folder, "plugin.json");
    writeFileSync(path, `{"wasm": [{"path": "a.wasm",\n"nmae": "x"}]}`);
    const { message, details } = await faultOf(path);
    assert.equal(message, `Cannot use "${path}", line 2, column 1: wasm[0].nmae is not a key of a module; did you mean "name"?`);
    assert.deepEqual([details["place"], details["line"], details["column"]], ["wasm[0].nmae", 2, 1]);
  });

  it("are found in every truncation of a manifest, and never as anything else", async () => {
    const text = JSON.stringify({
      wasm: [{ data: base64(MODULE), name: "\u00e9\n" }],
      memory: { max_pages: 5 },
      config: { a: "b" },
      timeout_ms: 500,
    });
    for (let length = 1; length < text.length; length++) {
      const { code, message } = await faultOf(text.slice(0, length));
      assert.equal(code, "MORTISE_MANIFEST_INVALID", message);
      assert.match(message, /line 1, column \d+/);
    }
    const other = `[[wasm]]\ndata = "${BASE64}"\n[memory]\nmax_pages = 5\n`;
    for (let length = other.indexOf("=") + 1; length < other.indexOf("\n[memory"); length++) {
      const { code, message } = await faultOf(Buffer.from(other.slice(0, length)));
      assert.equal(code, "MORTISE_MANIFEST_INVALID", message);
    }
  });

  it("never show a stack, nor more than a few lines' worth of text", async () => {
    for (const source of [`{"${"a".repeat(100_000)}": 5}`, { ["\n".repeat(10_000)]: 5 }, `[${"a".repeat(10_000)}]\nb = 5\n`]) {
      const { message } = await faultOf(source);
      assert.ok(message.length < 700, `${message.length}`);
      assert.doesNotMatch(message, /\n|\.ts:/);
    }
  });
});
