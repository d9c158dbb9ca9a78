-- Answers the format, how many changes of the revocation list there were, and the last of them, as of one
-- moment. It is a script because a full Redis queues no commands of a transaction.
--
-- KEYS: sessions, format, sequence, changes.
-- A Redis that takes no writes does not hear of logouts either: this write changes nothing, and fails there.
redis.call('ZREM', KEYS[1], '')
return {
  redis.call('GET', KEYS[2]),
  redis.call('GET', KEYS[3]),
  redis.call('XREVRANGE', KEYS[4], '+', '-', 'COUNT', 1)
}
