import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { refusedGrants } from "./notes.ts";

describe("refusedGrants", () => {
  const nothing = { hosts: undefined, folders: undefined, manifestGrants: undefined };
  const hosts = Array.from({ length: 10 }, (_, index) => `h${index}`);
  const asked = { allowedHosts: hosts, allowedPaths: [{ hostPath: "/a", guestPath: "/b", readOnly: true }] };
  const shown = "hosts h0, h1, h2, h3, h4, h5, h6, h7 and 2 more";
  const cases = [
    ["what nothing replaces", nothing, `not granted: ${shown}; folder /a:/b:ro; --manifest-grants grants what the manifest asks for`],
    ["folders where hosts are given", { ...nothing, hosts: [] }, "not granted: folder /a:/b:ro; --manifest-grants grants what the manifest asks for"],
    ["hosts where folders are given", { ...nothing, folders: [] }, `not granted: ${shown}; --manifest-grants grants what the manifest asks for`],
    ["nothing where both are given", { ...nothing, hosts: [], folders: [] }, undefined],
    ["nothing where the manifest's count", { ...nothing, manifestGrants: true }, undefined],
  ] as const;
  for (const [what, given, text] of cases) it(`names ${what}`, () => assert.equal(refusedGrants(asked, given), text));
});
