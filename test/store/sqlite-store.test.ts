import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createSqliteStore } from "../../src/services/store/sqlite-store.ts";
import { storeConformance } from "./store.conformance.ts";

storeConformance("sqlite", false, () => {
  const folder = mkdtempSync(join(tmpdir(), "store-sqlite-"));
  let now = Date.now();
  const options = { path: join(folder, "store.db"), clock: () => now };
  const store = createSqliteStore(options);
  const other = createSqliteStore(options);
  const close = async (): Promise<void> => {
    await store.close();
    await other.close();
    rmSync(folder, { recursive: true });
  };
  return Promise.resolve({ store, other, advance: (ms: number) => void (now += ms), close });
});
