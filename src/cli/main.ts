#!/usr/bin/env node
// The command `mortise`: nothing is loaded before it is known that this Node.js can.

const NEEDED = 24;
const { node } = process.versions;

if (Number.parseInt(node, 10) >= NEEDED) await import("./run.ts");
else {
  process.stderr.write(`mortise: it needs Node.js ${NEEDED} or newer, and this is ${node}\n`);
  process.exitCode = 1;
}
