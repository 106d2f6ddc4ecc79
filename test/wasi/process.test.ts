// Process and sockets: what there is of them, and that the rest is refused. Also: which functions there are.

import assert from "node:assert/strict";
import { test } from "node:test";

import { WASI_MODULE, wasiType } from "../../src/wasi/functions.ts";
import { resolveWasi } from "../../src/wasi/options.ts";
import { SUSPENDING_FUNCTIONS, type WasiHost, createWasi } from "../../src/wasi/wasi.ts";
import { assembleText } from "../wasm/assemble.ts";
import { OUT, mortiseGuest } from "./guest.ts";

test("proc_exit() hands over the code and lets the host do the rest", () => {
  const guest = mortiseGuest();
  assert.equal(guest.run("proc_exit", 3), 0);
  assert.equal(guest.run("proc_exit", -1), 0);
  assert.deepEqual(guest.host.exits, [3, -1]);
});

test("proc_raise() sends no signal to the host", () => {
  const guest = mortiseGuest();
  for (let signal = 0; signal <= 30; signal++) assert.equal(guest.run("proc_raise", signal), 52);
});

test("sched_yield() goes on at once", () => {
  assert.equal(mortiseGuest().run("sched_yield"), 0);
});

test("sockets are refused: no descriptor is one", () => {
  const guest = mortiseGuest({ files: { "/file": "" } });
  for (const [name, ...values] of [
    ["sock_accept", 0, OUT],
    ["sock_recv", OUT, 0, 0, OUT, OUT],
    ["sock_send", OUT, 0, 0, OUT],
    ["sock_shutdown", 3],
  ] as const) {
    for (const fd of [0, 1, 3]) assert.equal(guest.run(name, fd, ...values), 57, name);
    assert.equal(guest.run(name, 9, ...values), 8, name);
  }
});

test("createWasi() has all functions of preview 1, and a module that imports each with its type can be made and can call it", async () => {
  const guest = mortiseGuest();
  const names = Object.keys(guest.wasi.functions);
  assert.equal(names.length, 46);
  const imports: string[] = [];
  const bodies: string[] = [];
  for (const name of names) {
    const type = wasiType(name);
    assert.ok(type !== undefined, name);
    const params = type.params.length === 0 ? "" : `(param ${type.params.join(" ")})`;
    const values = type.params.map((param) => `(${param}.const -1)`).join(" ");
    imports.push(`(import "${WASI_MODULE}" "${name}" (func $${name} ${params} ${type.results.length === 0 ? "" : "(result i32)"}))`);
    bodies.push(`(func (export "${name}") ${type.results.length === 0 ? "" : "(result i32)"} (call $${name} ${values}))`);
  }
  const binary = await assembleText("all", `(module ${imports.join("\n")} (memory (export "memory") 1) ${bodies.join("\n")})`);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(binary), { [WASI_MODULE]: guest.wasi.functions });
  for (const name of names) {
    const result = (exports[name] as () => unknown)();
    // Every argument is -1, which no function but these can do anything with.
    if (name === "proc_exit") assert.equal(result, undefined);
    else if (name === "sched_yield") assert.equal(result, 0);
    else if (name === "args_get" || name === "environ_get") assert.equal(result, 21, name);
    else assert.notEqual(result, 0, name);
  }
  assert.ok(SUSPENDING_FUNCTIONS.every((name) => names.includes(name)));
});

test("functions answer `fault` where a guest exports no memory", () => {
  const nothing = (): void => {};
  const host: WasiHost = { memory: () => undefined, exit: nothing, charge: nothing, timeLeftMs: () => 1000, canSuspend: () => false };
  const { functions } = createWasi(resolveWasi(), host);
  assert.equal(functions["random_get"]?.(0, 0), 21);
  assert.equal(functions["args_sizes_get"]?.(0, 4), 21);
  assert.equal(functions["sched_yield"]?.(), 0);
});
