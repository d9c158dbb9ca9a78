-- Hands out what is due, the earliest first, and to nobody else before the lease ends.
--
-- KEYS: queue, entries, when they were queued. ARGV: now, when the lease ends, how many at most.
local most = tonumber(ARGV[3])
local leased = {}
while #leased < most do
  local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, most - #leased)
  if #due == 0 then
    break
  end
  for _, id in ipairs(due) do
    local entry = redis.call('HGET', KEYS[2], id)
    if entry then
      redis.call('ZADD', KEYS[1], ARGV[2], id)
      leased[#leased + 1] = entry
    else
      redis.call('ZREM', KEYS[1], id)
      redis.call('ZREM', KEYS[3], id)
    end
  end
end
return leased
