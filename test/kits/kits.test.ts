// Plugins of the kits, real ones where a registry has them, do here what they do in Extism's own host.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { readKitPrebuilt } from "../../scripts/kits-manifest.ts";
import { type KitName, KITS } from "../../scripts/kits-table.ts";
import { type EchoServer, startEchoServer } from "./echo-server.ts";
import { type LogLine, openInExtism, openInMortise } from "./hosts.ts";

const HOSTS = [
  { host: "Extism's own host", open: openInExtism, refused: /is not allowed/ },
  { host: "Mortise", open: openInMortise, refused: /^MORTISE_(?:PERMISSION|HTTP_DENIED): / },
] as const;
/** The kits whose plugin has the common functions. */
const COMMON = KITS.filter(({ name }) => name !== "argon2" && !name.startsWith("provider"));

const LOGS: readonly LogLine[] = [
  ["trace", "a trace line"],
  ["debug", "a debug line"],
  ["info", "an info line"],
  ["warn", "a warn line"],
  ["error", "an error line"],
];

/** What a kit does otherwise than the rest. */
const PECULIAR: Readonly<Partial<Record<KitName, { readonly failure?: string; readonly logs?: readonly LogLine[] }>>> = {
  // The kit imports log_error for traces too.
  go: { logs: [["error", "a trace line"], ...LOGS.slice(1)] },
  // Thrown: the stack follows on the next line.
  javascript: { failure: "Error: no good" },
};

const LONG = "a long name, ".repeat(10_000);
const outputs: readonly (readonly [what: string, name: string, input: string | undefined, config: Record<string, string>, output: string])[] = [
  ["greets with its own word without a config", "greet", "Ada", {}, "Hello, Ada!"],
  ["greets with the configured word", "greet", "Zoë 😀", { greeting: "Grüß Gott" }, "Grüß Gott, Zoë 😀!"],
  ["greets nobody when there is no input", "greet", undefined, {}, "Hello, !"],
  ["takes and gives a long text", "greet", LONG, {}, `Hello, ${LONG}!`],
  ["gets the host function's result", "ask_host", "drawer", {}, "reward"],
  ["gets the host function's result for other letters", "ask_host", "año 😀", {}, "😀 oña"],
];

for (const { host, open } of HOSTS) {
  for (const kit of COMMON) {
    const wasm = readKitPrebuilt(kit);
    const peculiar = PECULIAR[kit.name] ?? {};

    describe(`The plugin in ${kit.name} (${kit.kit}) in ${host}`, () => {
      for (const [what, name, input, config, output] of outputs) {
        it(what, async () => {
          await using plugin = await open(wasm, { config });
          assert.deepEqual(await plugin.call(name, input), { output });
        });
      }

      it("waits for a host function that answers later", async () => {
        await using plugin = await open(wasm, { later: true });
        assert.deepEqual(await plugin.call("ask_host", "drawer"), { output: "reward" });
        assert.deepEqual(await plugin.call("greet", "again"), { output: "Hello, again!" });
      });

      it("keeps a variable from call to call", async () => {
        await using plugin = await open(wasm);
        for (const output of ["1", "2", "3"]) assert.deepEqual(await plugin.call("count"), { output });
      });

      it("fails with its message, and works again", async () => {
        await using plugin = await open(wasm);
        const outcome = await plugin.call("fail");
        assert.ok("failure" in outcome, "it did not fail");
        assert.equal(outcome.failure.split("\n")[0], peculiar.failure ?? "no good");
        assert.deepEqual(await plugin.call("greet", "again"), { output: "Hello, again!" });
      });

      it("logs a line at each level", async () => {
        await using plugin = await open(wasm);
        assert.deepEqual(await plugin.call("log_levels"), { output: "" });
        assert.deepEqual(plugin.logs, peculiar.logs ?? LOGS);
      });
    });
  }
}

describe("HTTP of the plugins", () => {
  let server: EchoServer;
  before(async () => {
    server = await startEchoServer();
  });
  after(() => server[Symbol.asyncDispose]());

  const cases: readonly (readonly [what: string, name: string, path: string, answer: unknown])[] = [
    ["gets a page with its status and header", "fetch", "/echo", { status: 201, body: 'GET undefined ""', header: "oak" }],
    ["posts a body and a header", "post", "/echo", { status: 201, body: 'POST kit "knock, knock"', header: "oak" }],
    ["sees the body of a failure", "fetch", "/elsewhere", { status: 404, body: "nothing here", header: null }],
  ];
  for (const { host, open, refused } of HOSTS) {
    for (const kit of COMMON) {
      for (const [what, name, path, answer] of cases) {
        it(`in ${kit.name} in ${host}: ${what}`, async () => {
          await using plugin = await open(readKitPrebuilt(kit), { hosts: ["127.0.0.1"] });
          const outcome = await plugin.call(name, server.url + path);
          assert.ok("output" in outcome, JSON.stringify(outcome));
          assert.deepEqual(JSON.parse(outcome.output), answer);
        });
      }

      for (const hosts of [[], ["example.com"]]) {
        it(`in ${kit.name} in ${host}: is refused where ${hosts[0] ?? "nothing"} was granted`, async () => {
          await using plugin = await open(readKitPrebuilt(kit), { hosts });
          const outcome = await plugin.call("fetch", `${server.url}/echo`);
          assert.ok("failure" in outcome, JSON.stringify(outcome));
          assert.match(outcome.failure, refused);
        });
      }
    }
  }
});
