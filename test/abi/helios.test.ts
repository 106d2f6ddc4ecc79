// Interface "helios" as every interface.

import { testAbi } from "./abi.conformance.ts";

const PLACES = ["inline", "thread", "process"] as const;

for (const place of PLACES) {
  testAbi(
    {
      abi: "helios",
      fixtures: "prebuilt/helios_fixtures.c.wasm",
      state: "fresh",
      failure: { function: "status", input: "7", code: "MORTISE_RETURN_CODE", message: /non-zero code 7/ },
      skips: {},
    },
    place,
  );
}
