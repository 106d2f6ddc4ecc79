// The table of the prompt guard: it is what its generator writes, and says of every character what Unicode says.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

import { foldTable, folded } from "../../../scripts/fold-tables.ts";
import { ROOT } from "../../cli/run-cli.ts";
import { completion, loadInto, openGateway, pass, say } from "./open-gateway.ts";

const header = readFileSync(join(ROOT, "guests", "c", "fold_table.h"), "utf8");
const [, version] = /by Unicode ([\d.]+)\./.exec(header) ?? [];

describe("fold_table.h", () => {
  it("is what its generator writes", { skip: version !== process.versions["unicode"] && "this Node.js has another version of Unicode" }, () => {
    assert.equal(header, foldTable());
  });

  it("never makes a character longer, so that folded texts have room where they were", () => {
    for (let point = 0x80; point < 0x2_0000; point++) {
      if (point >= 0xd800 && point <= 0xdfff) continue;
      const char = String.fromCodePoint(point);
      assert.ok(Buffer.byteLength(folded(point)) <= Buffer.byteLength(char), `U+${point.toString(16)} becomes ${folded(point)}`);
    }
  });

  it("is what the guard does: no character that cannot be seen hides a word, and no style does", { timeout: 60_000 }, async (t) => {
    const host = await openGateway(t, { spelling: "flat" });
    await loadInto(host, "gateway_guard.c", { builtin: false, deny: ["nightjar"] });
    const hidden: string[] = [];
    const words: string[] = [];
    for (let point = 0x7f; point < 0xe_0200; point = point === 0x1_ffff ? 0xe_0000 : point + 1) {
      const char = String.fromCodePoint(point);
      if (/^[\p{Cc}\p{Cf}\p{Mn}\p{Me}\p{Default_Ignorable_Code_Point}]$/u.test(char) && !(point >= 0xe_0020 && point <= 0xe_007e))
        words.push(`night${char}jar`);
      const base = char.normalize("NFKD").replaceAll(/\p{M}/gu, "").toLowerCase();
      if (/^[nightjar]$/.test(base)) words.push("nightjar".replace(base, char));
    }
    assert.ok(words.length > 2500, String(words.length));
    for (const word of words) {
      const { sent } = await pass(host, say(word), { response: completion({ content: "Fine." }) }); // oxlint-disable-line no-await-in-loop -- one after the other
      if (sent !== undefined) hidden.push(word);
    }
    assert.deepEqual(hidden, []);
  });
});
