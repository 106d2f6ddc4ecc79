// Interface "native" as every interface.

import { testAbi } from "./abi.conformance.ts";

const WITHOUT_SANDBOX = "a native plugin has no sandbox that could do it";

testAbi(
  {
    abi: "native",
    fixtures: "native/fixtures.mjs",
    state: "kept",
    failure: { function: "fail", input: "no luck", code: "MORTISE_GUEST_ERROR", message: /: no luck$/ },
    skips: {
      memory: WITHOUT_SANDBOX,
      fuel: WITHOUT_SANDBOX,
      "timeout of a computation": WITHOUT_SANDBOX,
      trap: "a native plugin that traps ends the process",
      pointer: "a native plugin gives bytes, not addresses",
    },
  },
  "inline",
);
