import { createRedisStore } from "../../src/services/store/redis-store.ts";
import { skip, startRedis } from "./redis-server.ts";
import { storeConformance } from "./store.conformance.ts";

/** Moves everything that expires nearer by a time: to the server it is as if that time had passed. */
const ADVANCE = `
  for _, name in ipairs(redis.call('KEYS', '*')) do
    local kind = redis.call('TYPE', name).ok
    if kind == 'zset' and string.sub(name, -9) == ':expiries' then
      local members = redis.call('ZRANGE', name, 0, -1)
      for _, member in ipairs(members) do redis.call('ZINCRBY', name, -ARGV[1], member) end
    elseif kind == 'string' then
      local at = redis.call('PEXPIRETIME', name)
      if at > 0 then redis.call('PEXPIREAT', name, string.format('%.0f', at - ARGV[1])) end
    end
  end
`;

storeConformance("redis", skip, async () => {
  const server = await startRedis();
  const { url } = server;
  const store = await createRedisStore({ url, timeoutMs: 60_000 });
  const other = await createRedisStore({ url, timeoutMs: 60_000 });
  const close = async (): Promise<void> => {
    await store.close();
    await other.close();
    await server[Symbol.asyncDispose]();
  };
  const advance = async (ms: number): Promise<void> => {
    await server.command("EVAL", ADVANCE, "0", String(ms));
  };
  return { store, other, advance, close };
});
