-- Removes an entry of the queue if it has the given revision. Returns 1 if the entry was removed, else 0.
--
-- KEYS: due, records, states, queued, failed, index, totals. ARGV: the id; the revision, or '-' for any; the
-- time of queueing, because an entry that was removed and queued again starts with the same revision; the
-- prefix of the keys of the users' ids; the prefix of the keys of an earlier release's counts.
local due, records, states, queued, failed, index, totals = unpack(KEYS, 1, 7)
local id = ARGV[1]
-- This write changes nothing. After it, a Redis that is over its `maxmemory` refuses no further write of this
-- script.
redis.call('ZREM', due, '')
local known = redis.call('HGET', index, id)
if not known then
  return 0
end
local revision, bytes, stale, user = string.match(known, '^(%d+) (%d+) ([01]) (%S+) ')
if ARGV[2] ~= '-' then
  local at = redis.call('ZSCORE', queued, id)
  if revision ~= ARGV[2] or tonumber(at or '') ~= tonumber(ARGV[3]) then
    return 0
  end
end
redis.call('HDEL', records, id)
redis.call('HDEL', states, id)
redis.call('HDEL', index, id)
redis.call('ZREM', due, id)
redis.call('ZREM', queued, id)
redis.call('ZREM', failed, id)
if redis.call('HLEN', index) == 0 then
  redis.call('DEL', totals)
else
  redis.call('HINCRBY', totals, 'bytes', -tonumber(bytes))
  if stale == '1' then
    redis.call('HINCRBY', totals, 'stale_entries', -1)
    redis.call('HINCRBY', totals, 'stale_bytes', -tonumber(bytes))
  end
end
redis.call('SREM', ARGV[4] .. user, id)
redis.call('DEL', ARGV[5] .. user)
return 1
