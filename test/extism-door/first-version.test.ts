// What 1.0.3 spelled differently: names of modules beside names of functions.

import { type Create, type SdkPlugin, assemble, guestBytes, v1 } from "./sdks.ts";
import { compare, thrown } from "./side-by-side.ts";

/** 1.0.3 has not all of the functions that the fixtures import. */
const guest = await assemble(`(module
  (import "extism:host/user" "host_reflect" (func $reflect (param i64) (result i64)))
  (import "extism:host/env" "input_offset" (func $input (result i64)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))
  (import "extism:host/env" "error_set" (func $error (param i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "log_info" (func $log (param i64)))
  (func (export "host_reflect") (local $block i64)
    (local.set $block (call $reflect (call $input)))
    (call $output (local.get $block) (call $length (local.get $block))))
  (func (export "log") (call $log (call $input)))
  (func (export "fail") (result i32) (call $error (call $input)) (i32.const 1))
  (func (export "trap") unreachable))`);
const echo = guestBytes("echo.c");
const functions = { "extism:host/user": { host_reflect: (_context: unknown, address: bigint): bigint => address } };
const single = (create: Create, options: object = {}): Promise<SdkPlugin> => create({ wasm: [{ data: guest }] }, { functions, ...options });
const several = (create: Create): Promise<SdkPlugin> =>
  create(
    {
      wasm: [
        { name: "other", data: echo },
        { name: "main", data: guest },
      ],
    },
    { functions },
  );

compare(
  "1.0.3",
  [
    { name: "calls by name", run: async (create) => (await single(create)).call("host_reflect", "x") },
    { name: "calls by the module's place and name", run: async (create) => (await single(create)).call(["0", "host_reflect"], "x") },
    { name: "calls by the module's name and name", run: async (create) => (await several(create)).call(["main", "host_reflect"], "x") },
    { name: "refuses a module that is not there", run: async (create) => (await single(create)).call(["nope", "host_reflect"], "x") },
    {
      name: "calls a module that is not main",
      run: async (create) => (await several(create)).call(["other", "echo"], "x"),
      expect: {
        because: "only main's exports are callable",
        door: thrown("Error", 'Plugin error: only functions of module "main"'),
        package: { output: "x" },
      },
    },
    {
      name: "calls a single module as main",
      run: async (create) => (await single(create)).call(["main", "host_reflect"], "x"),
      expect: { because: "a single module is main", door: { output: "x" }, package: thrown("Error", 'no module named "main"') },
    },
    {
      name: "tells what exists",
      run: async (create) => {
        const plugin = await several(create);
        const names = ["trap", "nope", ["main", "trap"], ["main", "nope"], ["nope", "trap"]];
        return Promise.all(names.map((name) => plugin.functionExists(name)));
      },
    },
    { name: "lists exports of a module", run: async (create) => (await several(create)).getExports("other") },
    { name: "lists imports of a module", run: async (create) => (await several(create)).getImports("other") },
    { name: "refuses to list exports of a module that is not there", run: async (create) => (await single(create)).getExports("nope") },
    { name: "refuses to list imports of a module that is not there", run: async (create) => (await single(create)).getImports("nope") },
    { name: "gives the plugin's error", run: async (create) => (await single(create)).call("fail", "no") },
    { name: "gives a trap", run: async (create) => (await single(create)).call("trap") },
    {
      name: "names a function that does not exist",
      run: async (create) => (await single(create)).call("nope"),
      expect: {
        because: "its text is that of the newer version",
        door: thrown("Error", 'Plugin error: function "nope" does not exist'),
        package: thrown("Error", 'Plugin error: target "nope" does not exist'),
      },
    },
    {
      name: "refuses a wrong hash",
      run: async (create) => create({ wasm: [{ data: echo, hash: "0".repeat(64) }] }),
    },
    {
      name: "gives nothing for setting a variable",
      run: async (create) => {
        let result: unknown;
        const host_reflect = (context: { setVariable(name: string, value: string): unknown }, address: bigint): bigint => {
          result = context.setVariable("x", "y");
          return address;
        };
        await (await single(create, { functions: { "extism:host/user": { host_reflect } } })).call("host_reflect", "x");
        return result;
      },
      expect: { because: "the newer version gives nothing", door: undefined, package: 562_949_953_421_312n },
    },
    {
      name: "logs without a level",
      run: async (create) => {
        const lines: unknown[] = [];
        const logger = { info: (line: string) => lines.push(line), debug() {}, warn() {}, error() {} };
        await (await single(create, { logger })).call("log", "line");
        return lines;
      },
      expect: { because: "logLevel is silent unless it is given", door: [], package: ["line"] },
    },
  ],
  v1,
);
