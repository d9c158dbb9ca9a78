-- Forgets the lines that are outlived. A gateway's clock may be far ahead: what others need stays until
-- it is outlived by Redis' clock as well.
--
-- KEYS: sessions, users. ARGV: the time by the gateway's clock, seconds since the Unix epoch.
local now = math.min(tonumber(ARGV[1]), tonumber(redis.call('TIME')[1]))
for _, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now))
end
return 0
