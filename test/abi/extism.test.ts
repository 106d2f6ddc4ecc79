// Interface "extism" as every interface.

import { testAbi } from "./abi.conformance.ts";

const PLACES = ["inline", "thread"] as const;

for (const place of PLACES) {
  testAbi(
    {
      abi: "extism",
      fixtures: "prebuilt/extism_fixtures.c.wasm",
      state: "kept",
      failure: { function: "fail", input: "no luck", code: "MORTISE_GUEST_ERROR", message: /: no luck$/ },
      skips: {},
    },
    place,
  );
}
