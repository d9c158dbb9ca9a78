-- Makes an entry due later if the worker still holds its lease. Returns 1 if the worker does, else 0. The
-- entry is due at once if a request has added credentials since the worker read it. The time is by the clock
-- of Redis.
--
-- KEYS: due, records, states, queued, failed, index. ARGV: the id, the end of the worker's lease,
-- milliseconds until the entry is due again, the state, 1 if the try failed, the revision that the worker
-- read.
local due, states, failed, index = KEYS[1], KEYS[3], KEYS[5], KEYS[6]
-- This write changes nothing. After it, a Redis that is over its `maxmemory` refuses no further write of this
-- script.
redis.call('ZREM', due, '')
local at = redis.call('ZSCORE', due, ARGV[1])
if not at or tonumber(at) ~= tonumber(ARGV[2]) then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local pause = tonumber(ARGV[3])
local revision = string.match(redis.call('HGET', index, ARGV[1]) or '', '^(%d+) ')
if revision and revision ~= ARGV[6] then
  pause = 0
end
redis.call('ZADD', due, string.format('%.0f', now + pause), ARGV[1])
redis.call('HSET', states, ARGV[1], ARGV[4])
if ARGV[5] == '1' then
  redis.call('ZADD', failed, string.format('%.0f', now), ARGV[1])
end
return 1
