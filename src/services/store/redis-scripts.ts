// What the Redis store does on the server, as scripts: each runs there as one step.
//
// A namespace consists of one string for each key, with Redis's own expiry, and four books about them:
//   sizes     hash: bytes of each key with its value, also of those that expired and were not removed yet
//   index     sorted set, all scores 0: the keys in the order of their bytes
//   expiries  sorted set: keys that expire, by when they do, in milliseconds since 1970 on the server's clock
//   total     string: the sum of sizes
// A key that expires vanishes by itself, but stays in the books until a script removes it there.

import { createHash } from "node:crypto";

/** A script, and the digest by which the server knows it once it has run. */
export interface RedisScript {
  readonly text: string;
  readonly sha: string;
}

/** The first number of a reply; what follows depends on it. */
export const REPLY = {
  /** Nothing was done: a condition did not hold. */
  no: 0,
  /** Done; the result follows. */
  done: 1,
  /** Nothing was done yet, but expired keys were removed: ask again. */
  again: -1,
  /** Nothing was done: the namespace would hold as many keys and bytes as follow. */
  quota: -2,
  /** Nothing was done: the value is not a number. */
  none: -3,
  /** Nothing was done: the sum does not fit. */
  range: -4,
} as const;

/** Expired keys that every write takes out of the books, and at a time when room is needed or a count is wanted. */
const WRITE_SWEEP = 32;
const ROOM_SWEEP = 1000;

/** KEYS: the four books, and the value's string if there is one. ARGV[1]: what precedes a key in the names of strings. */
const PRELUDE = `
local sizes, index, expiries, total, place = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Numbers of this size would otherwise be written with an exponent.
local function digits(number)
  return string.format('%.0f', number)
end

local function forget(key)
  local size = redis.call('HGET', sizes, key)
  if not size then return end
  redis.call('HDEL', sizes, key)
  redis.call('ZREM', index, key)
  redis.call('ZREM', expiries, key)
  redis.call('DECRBY', total, size)
  if redis.call('EXISTS', sizes) == 0 then redis.call('DEL', total) end
end

local function sweep(most)
  local keys = redis.call('ZRANGEBYSCORE', expiries, '-inf', '(' .. digits(now), 'LIMIT', 0, most)
  for _, key in ipairs(keys) do
    -- It has mostly gone by itself; but what expires stands still while a script runs, and TIME may not.
    redis.call('UNLINK', ARGV[1] .. key)
    forget(key)
  end
  return #keys
end

-- The reply for a write that would pass the quota; nil for one that would not.
local function refusal(key, size, maxKeys, maxBytes)
  local old = redis.call('HGET', sizes, key)
  local keys = redis.call('HLEN', sizes) + (old and 0 or 1)
  local bytes = (redis.call('GET', total) or 0) - (old or 0) + size
  if keys <= maxKeys and bytes <= maxBytes then return nil end
  if sweep(${ROOM_SWEEP}) > 0 then return {${REPLY.again}} end
  return {${REPLY.quota}, keys, bytes}
end

-- Enters a key whose string was written; expiresAt is false for never, nil to leave it as it is.
local function enter(key, size, expiresAt)
  if expiresAt then
    redis.call('ZADD', expiries, digits(expiresAt), key)
  elseif expiresAt == false then
    redis.call('ZREM', expiries, key)
  end
  local old = redis.call('HGET', sizes, key)
  if not old then redis.call('ZADD', index, 0, key) end
  redis.call('HSET', sizes, key, size)
  redis.call('INCRBY', total, digits(size - (old or 0)))
end
`;

function script(body: string): RedisScript {
  const text = PRELUDE + body;
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}

export const SCRIPTS = {
  /** ARGV: prefix, key, value, key's bytes, ttl or "", maxKeys, maxBytes, "any" or "absent" or "equal", expected. */
  set: script(`
local key, value, size = ARGV[2], ARGV[3], ARGV[4] + #ARGV[3]
if ARGV[8] ~= 'any' then
  local found = redis.call('GET', place)
  if ARGV[8] == 'absent' and found then return {${REPLY.no}} end
  if ARGV[8] == 'equal' and found ~= ARGV[9] then return {${REPLY.no}} end
end
sweep(${WRITE_SWEEP})
local refused = refusal(key, size, tonumber(ARGV[6]), tonumber(ARGV[7]))
if refused then return refused end
local expiresAt = ARGV[5] ~= '' and now + ARGV[5]
if expiresAt then
  redis.call('SET', place, value, 'PXAT', digits(expiresAt))
else
  redis.call('SET', place, value)
end
enter(key, size, expiresAt)
return {${REPLY.done}}
`),
  /** ARGV: prefix, key, "any" or "absent" or "equal", expected. */
  remove: script(`
local found = redis.call('GET', place)
if ARGV[3] == 'absent' then return {found and ${REPLY.no} or ${REPLY.done}} end
if not found or (ARGV[3] == 'equal' and found ~= ARGV[4]) then return {${REPLY.no}} end
redis.call('UNLINK', place)
forget(ARGV[2])
sweep(${WRITE_SWEEP})
return {${REPLY.done}}
`),
  /** ARGV: prefix, key, delta, key's bytes, ttl or "", maxKeys, maxBytes. Replies with the sum as text: Lua's numbers have 53 bits. */
  increment: script(`
local key = ARGV[2]
sweep(${WRITE_SWEEP})
local old = redis.call('GET', place)
local reply = redis.pcall('INCRBY', place, ARGV[3])
if type(reply) == 'table' and reply.err then
  if string.find(reply.err, 'not an integer', 1, true) then return {${REPLY.none}} end
  if string.find(reply.err, 'overflow', 1, true) then return {${REPLY.range}} end
  return reply
end
local sum = redis.call('GET', place)
local size = ARGV[4] + #sum
local refused = refusal(key, size, tonumber(ARGV[6]), tonumber(ARGV[7]))
if refused then
  if old then redis.call('SET', place, old, 'KEEPTTL') else redis.call('DEL', place) end
  return refused
end
local expiresAt
if not old then
  expiresAt = ARGV[5] ~= '' and now + ARGV[5]
  if expiresAt then redis.call('PEXPIREAT', place, digits(expiresAt)) end
end
enter(key, size, expiresAt)
return {${REPLY.done}, sum}
`),
  /** ARGV: prefix, least, end, limit. Replies with where to go on, or "" at the end, and with keys. */
  list: script(`
sweep(${ROOM_SWEEP})
local limit = tonumber(ARGV[4])
local keys = redis.call('ZRANGEBYLEX', index, ARGV[2], ARGV[3], 'LIMIT', 0, limit)
local found = {${REPLY.done}, #keys == limit and '(' .. keys[limit] or ''}
for _, key in ipairs(keys) do
  if redis.call('EXISTS', ARGV[1] .. key) == 1 then found[#found + 1] = key end
end
return found
`),
  /** ARGV: prefix. Replies with keys and bytes. */
  usage: script(`
if sweep(${ROOM_SWEEP}) == ${ROOM_SWEEP} then return {${REPLY.again}} end
return {${REPLY.done}, redis.call('HLEN', sizes), tonumber(redis.call('GET', total) or 0)}
`),
  /** ARGV: prefix. */
  clear: script(`
local keys = redis.call('ZRANGE', index, 0, -1)
for first = 1, #keys, ${ROOM_SWEEP} do
  local names = {}
  for at = first, math.min(first + ${ROOM_SWEEP} - 1, #keys) do names[#names + 1] = ARGV[1] .. keys[at] end
  redis.call('UNLINK', unpack(names))
end
redis.call('UNLINK', sizes, index, expiries, total)
return {${REPLY.done}}
`),
} as const;
