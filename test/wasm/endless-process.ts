// A process that runs modules which end only if their meter ends them: node endless-process.ts <hex> <fuel>...
import { measure, prepare } from "./metered.ts";

const [hex = "", ...fuels] = process.argv.slice(2);
const prepared = prepare(Uint8Array.from(Buffer.from(hex, "hex")));
const ends = fuels.map((fuel) => {
  const { outcome, stopped } = measure(prepared, "run", [], Number(fuel));
  return { outcome, stopped };
});
process.stdout.write(JSON.stringify(ends));
