// A short run of the fuzzer with fixed seeds; scripts/fuzz.ts runs it for as long as one likes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadCorpus } from "./corpus.ts";
import { fuzz, type FuzzReport } from "./fuzzing.ts";
import { generateModule } from "./generator.ts";

const corpus = (await loadCorpus()).map(({ bytes }) => bytes);

function describeFailures(report: FuzzReport): string {
  const lines = report.failures.map((failure) => {
    const hex = Buffer.from(failure.bytes).toString("hex");
    return `case ${failure.caseNumber}: not true that ${failure.claim}: ${failure.detail}\n${hex}`;
  });
  return lines.join("\n");
}

for (const seed of [1, 2, 3, 4]) {
  test(`instrument agrees with the engine on the modules of seed ${seed}`, () => {
    const report = fuzz({ cases: 5000, seed, corpus });
    assert.equal(report.failures.length, 0, describeFailures(report));
    assert.equal(report.cases, 5000);
    // A run that exercises nothing would pass too.
    assert.ok(report.valid > 500 && report.invalid > 2000 && report.executed > 200, JSON.stringify(report));
    assert.ok(report.slowest.ms < 2000, `case ${report.slowest.caseNumber} took ${report.slowest.ms} ms`);
  });
}

test("generateModule gives the same module for the same seed", () => {
  for (let seed = 0; seed < 50; seed++) assert.deepEqual(generateModule(seed), generateModule(seed));
});

test("generateModule gives valid modules, with and without a bound on their runs", () => {
  for (let seed = 1000; seed < 1200; seed++) {
    assert.ok(WebAssembly.validate(generateModule(seed).bytes), `seed ${seed}`);
    assert.ok(WebAssembly.validate(generateModule(seed, { heap: true, steps: 10 }).bytes), `seed ${seed} with heap types`);
  }
});

test("generateModule with a wrong index gives modules the engine refuses, mostly", () => {
  const outcomes = Array.from({ length: 100 }, (_, seed) => {
    const { indexes } = generateModule(seed);
    return WebAssembly.validate(generateModule(seed, { sabotage: { emission: 1 + (seed % indexes), by: 0 } }).bytes);
  });
  assert.ok(outcomes.filter((valid) => !valid).length > 90);
});
