-- Returns the format, the number of changes of the revocation list, and the last change, atomically. This is
-- a script because a full Redis refuses the commands of a transaction.
--
-- KEYS: sessions, format, sequence, changes.
-- This write changes nothing, and fails in a Redis that takes no writes: its answer would not count.
redis.call('ZREM', KEYS[1], '')
return {
  redis.call('GET', KEYS[2]),
  redis.call('GET', KEYS[3]),
  redis.call('XREVRANGE', KEYS[4], '+', '-', 'COUNT', 1)
}
