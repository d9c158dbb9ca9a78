-- Makes an entry due later, if the worker that asks holds it still; answers whether it did. The time is
-- that of Redis.
--
-- KEYS: due, records, states, queued, failed. ARGV: id, when the worker's lease ends, milliseconds until it
-- is due again, the state, 1 if it failed.
local due, states, failed = KEYS[1], KEYS[3], KEYS[5]
-- A full Redis refuses no write of a script that has begun to write: this changes nothing.
redis.call('ZREM', due, '')
local at = redis.call('ZSCORE', due, ARGV[1])
if not at or tonumber(at) ~= tonumber(ARGV[2]) then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', due, string.format('%.0f', now + tonumber(ARGV[3])), ARGV[1])
redis.call('HSET', states, ARGV[1], ARGV[4])
if ARGV[5] == '1' then
  redis.call('ZADD', failed, string.format('%.0f', now), ARGV[1])
end
return 1
