-- Removes expired entries of the revocation list. A gateway's clock may be far ahead, so an entry must have
-- expired by the clock of Redis too.
--
-- KEYS: sessions, users. ARGV: the time by the gateway's clock, seconds since the Unix epoch.
local now = math.min(tonumber(ARGV[1]), tonumber(redis.call('TIME')[1]))
for _, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now))
end
return 0
