-- Leases due entries to a worker; entries that failed most recently come last. No other worker can lease them
-- before the lease ends. The time is by the clock of Redis.
--
-- KEYS: due, records, states, queued, failed. ARGV: the duration of the lease in milliseconds, the largest
-- number of entries, the longest pause in milliseconds.
-- Returns for each entry: id, record, state, time of queueing, time of the last failure, end of the lease.
local due, records, states, queued, failed = unpack(KEYS, 1, 5)
local lease, most, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
-- This write changes nothing. After it, a Redis that is over its `maxmemory` refuses no further write of this
-- script.
redis.call('ZREM', due, '')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function whole(number)
  return string.format('%.0f', number)
end

-- Make entries due now that are due later than the longest pause: only a wrong clock sets such a time.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '(' .. whole(now + longest), '+inf', 'LIMIT', 0, 1000)) do
  redis.call('ZADD', due, whole(now), id)
end

-- Consider the first entries by due time, and the first ones by time of the last failure, so that entries
-- which fail again and again do not hide others.
local found, seen = {}, {}
local function consider(id)
  local at = tonumber(redis.call('ZSCORE', due, id) or '')
  if at and at <= now and not seen[id] then
    seen[id] = true
    found[#found + 1] = { id, tonumber(redis.call('ZSCORE', failed, id) or '0'), at }
  end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', whole(now), 'LIMIT', 0, 1000)) do
  consider(id)
end
if #found > 0 then
  for _, id in ipairs(redis.call('ZRANGE', failed, 0, 999)) do
    consider(id)
  end
end
table.sort(found, function(one, other)
  if one[2] ~= other[2] then
    return one[2] < other[2]
  elseif one[3] ~= other[3] then
    return one[3] < other[3]
  end
  return one[1] < other[1]
end)

local leased = {}
for _, entry in ipairs(found) do
  if #leased == most * 6 then
    break
  end
  local id = entry[1]
  local record = redis.call('HGET', records, id)
  if record then
    redis.call('ZADD', due, whole(now + lease), id)
    local at = redis.call('ZSCORE', queued, id) or '0'
    for _, value in ipairs({ id, record, redis.call('HGET', states, id) or '', at, whole(entry[2]), whole(now + lease) }) do
      leased[#leased + 1] = value
    end
  else
    redis.call('ZREM', due, id)
    redis.call('ZREM', queued, id)
    redis.call('ZREM', failed, id)
  end
end
return leased
