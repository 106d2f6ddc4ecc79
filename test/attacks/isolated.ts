// Verifies one attack, named as argument, in this process: run by a test as a child, so that a crash is only the child's.

import { ATTACKS } from "./attacks.ts";
import { verifyAttack } from "./verify.ts";

const attack = ATTACKS.find(({ name }) => name === process.argv[2]);
if (attack === undefined) throw new Error(`No attack "${process.argv[2]}"`);
try {
  await verifyAttack(attack);
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
