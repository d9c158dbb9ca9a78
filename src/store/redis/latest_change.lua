-- Returns the format version, the number of changes of the revocation list, and the last change, atomically.
-- This is a script, because a Redis over its `maxmemory` refuses the commands of a transaction.
--
-- KEYS: sessions, format, sequence, changes.
-- This write changes nothing. A Redis that takes no writes refuses it: such a Redis does not receive
-- revocations either, so its answers must not be used.
redis.call('ZREM', KEYS[1], '')
return {
  redis.call('GET', KEYS[2]),
  redis.call('GET', KEYS[3]),
  redis.call('XREVRANGE', KEYS[4], '+', '-', 'COUNT', 1)
}
