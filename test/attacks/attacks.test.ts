import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { loadAttack } from "./attack-run.ts";
import { type Attack, ATTACKS } from "./attacks.ts";
import { MODULES } from "./modules.ts";
import { verifyAttack } from "./verify.ts";

const ISOLATED = fileURLToPath(new URL("isolated.ts", import.meta.url));
/** Megabytes of heap for an isolated attack, and seconds. */
const CHILD = { heap: 500, timeoutMs: 30_000 };
const RULES = 16;

const run = promisify(execFile);

async function verifyIsolated(attack: Attack): Promise<void> {
  const began = performance.now();
  try {
    await run(process.execPath, [`--max-old-space-size=${CHILD.heap}`, ISOLATED, attack.name], { timeout: CHILD.timeoutMs });
  } catch (error) {
    const { code, signal, stderr } = error as { code?: unknown; signal?: unknown; stderr?: string };
    const last = stderr?.split("\n").slice(0, 12).join("\n");
    assert.fail(`after ${Math.round(performance.now() - began)} ms: code ${String(code)}, signal ${String(signal)}: ${last}`);
  }
}

describe("An attack is contained:", () => {
  for (const attack of ATTACKS) {
    const options = attack.todo === undefined ? {} : { todo: attack.todo };
    const tries = MODULES.get(attack.file)?.tries ?? "";
    it(`${attack.name} (rule ${attack.rules.join(", ")}): ${tries}`, options, () =>
      attack.isolated === true ? verifyIsolated(attack) : verifyAttack(attack),
    );
  }
});

describe("The attack corpus", () => {
  it("tests every rule", () => {
    const tested = new Set(ATTACKS.flatMap(({ rules }) => rules));
    const missing = Array.from({ length: RULES }, (_unused, index) => index + 1).filter((rule) => !tested.has(rule));
    assert.deepEqual(missing, []);
  });

  it("names every attack once, uses every module, and says what each tries", () => {
    assert.equal(new Set(ATTACKS.map(({ name }) => name)).size, ATTACKS.length);
    const used = new Set(ATTACKS.map(({ file }) => file));
    const unused = [...MODULES.keys()].filter((name) => !used.has(name));
    assert.deepEqual(unused, []);
    for (const [name, { tries }] of MODULES) assert.match(tries, /^[A-Z].*\.$/, `${name} says "${tries}"`);
  });

  it("meets errors at load that carry the plugin's name as a detail", async () => {
    const nameless: string[] = [];
    for (const attack of ATTACKS) {
      if (attack.ending.at !== "load" || attack.isolated === true) continue;
      const { error } = (await loadAttack(attack)).load;
      if (error !== undefined && error.details["plugin"] !== attack.name) nameless.push(`${attack.name} (${error.code})`);
    }
    assert.deepEqual(nameless, []);
  });
});
