-- Replaces an entry, if whoever asks holds it still; answers whether it did.
--
-- KEYS: queue, entries. ARGV: id, when the lease of whoever asks ends, when it is due again, the entry.
local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
if due and tonumber(due) == tonumber(ARGV[2]) and redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[4])
  redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
  return 1
end
return 0
