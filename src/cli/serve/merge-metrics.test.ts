import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { mergeMetrics } from "./merge-metrics.ts";

describe("mergeMetrics()", () => {
  it("keeps families together, says what they are once, and labels each sample", () => {
    const text = (value: number): string =>
      `# HELP a_total Help.\n# TYPE a_total counter\na_total ${value}\n# TYPE h histogram\nh_bucket{p="x}y",le="1"} ${value}\nh_sum{p="x}y"} 2\nh_count{p="x}y"} 3\nuntyped{q="1"} 4\n`;
    assert.equal(
      mergeMetrics(
        new Map([
          [1, text(10)],
          [3, text(30)],
        ]),
      ),
      `# HELP a_total Help.
# TYPE a_total counter
a_total{worker="1"} 10
a_total{worker="3"} 30
# TYPE h histogram
h_bucket{worker="1",p="x}y",le="1"} 10
h_sum{worker="1",p="x}y"} 2
h_count{worker="1",p="x}y"} 3
h_bucket{worker="3",p="x}y",le="1"} 30
h_sum{worker="3",p="x}y"} 2
h_count{worker="3",p="x}y"} 3
untyped{worker="1",q="1"} 4
untyped{worker="3",q="1"} 4
`,
    );
    const odd = 'a{model="x\u2028y\u2029z\r}"} 1\n';
    assert.equal(mergeMetrics(new Map([[2, odd]])), odd.replace("{", '{worker="2",'));
    assert.equal(mergeMetrics(new Map()), "");
  });
});
