// Main module of the child processes: `child.ts PART VALUE…` prints what the part measured, as JSON.

const [part, ...values] = process.argv.slice(2);

// Imported here, so that a child holds no more than its part needs.
if (part === "load") {
  const { coldChild } = await import("./row-load.ts");
  console.log(JSON.stringify(await coldChild(Number(values[0]), values[1] ?? "")));
} else if (part === "idle") {
  const { idleChild } = await import("./row-idle.ts");
  console.log(JSON.stringify(await idleChild(values[0] ?? "", values[1] ?? "", Number(values[2]))));
} else throw new RangeError(`There is no part "${part}"`);
