-- Adds an entry, or replaces the record of one, within the bounds. A full Redis refuses it, but for an entry
-- of the first release: that one is moved here, and gives its room back.
--
-- KEYS: due, records, states, queued, failed, index, totals; the sessions of the user; for an entry of the
--       first release also its due, records and queued.
-- ARGV: id, the revision that is replaced or '-', the new revision, the record, the state, milliseconds
--       until it is due, the session, 1 if it is stale, then the most entries, bytes, entries of stale
--       sessions, bytes of stale sessions, and sessions of a user; the user; the id that the first release
--       gave it, or nothing.
-- Answers 'ok', 'changed' (read it again), 'full', 'stale' or 'user'.
local due, records, states, queued, failed, index, totals, sessions = unpack(KEYS, 1, 8)
local old_due, old_records, old_queued = unpack(KEYS, 9, 11)
local id, replaced, revision, record, state = unpack(ARGV, 1, 5)
local pause, session, stale = tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])
local old_id = ARGV[15]

if old_id ~= '' and redis.call('HEXISTS', old_records, old_id) == 0 then
  -- Another instance has moved it.
  return 'ok'
end

local known = redis.call('HGET', index, id)
local known_bytes, known_stale = 0, 0
if known then
  local at, bytes, was_stale = string.match(known, '^(%d+) (%d+) ([01]) ')
  if at ~= replaced then
    return 'changed'
  end
  known_bytes, known_stale = tonumber(bytes), tonumber(was_stale)
elseif replaced ~= '-' then
  return 'changed'
end

local function total(name)
  return tonumber(redis.call('HGET', totals, name) or '0')
end

local entries = redis.call('HLEN', index) + (known and 0 or 1)
local bytes = total('bytes') - known_bytes + #record
local stale_entries = total('stale_entries') - known_stale + stale
local stale_bytes = total('stale_bytes') - known_stale * known_bytes + stale * #record
if redis.call('HEXISTS', sessions, session) == 0
  and redis.call('HLEN', sessions) >= tonumber(ARGV[13]) then
  return 'user'
elseif entries > tonumber(ARGV[9]) or bytes > tonumber(ARGV[10]) then
  return 'full'
elseif stale == 1
  and (stale_entries > tonumber(ARGV[11]) or stale_bytes > tonumber(ARGV[12])) then
  return 'stale'
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function whole(number)
  return string.format('%.0f', number)
end
local queued_at = now
if old_id ~= '' then
  -- A full Redis refuses no write of a script that has begun to write.
  queued_at = tonumber(redis.call('ZSCORE', old_queued, old_id) or now)
  queued_at = math.min(queued_at, tonumber(redis.call('ZSCORE', queued, id) or queued_at))
  redis.call('ZREM', old_due, old_id)
  redis.call('ZREM', old_queued, old_id)
  redis.call('HDEL', old_records, old_id)
  redis.call('ZADD', queued, whole(queued_at), id)
end
redis.call('HSET', records, id, record)
redis.call('HSET', index, id,
  revision .. ' ' .. #record .. ' ' .. stale .. ' ' .. ARGV[14] .. ' ' .. session)
redis.call('HSET', totals, 'bytes', whole(bytes), 'stale_entries', whole(stale_entries),
  'stale_bytes', whole(stale_bytes))
-- The state of a known entry stays: a worker may have written it since it was read.
if not known then
  redis.call('HSET', states, id, state)
  redis.call('ZADD', due, whole(now + pause), id)
  redis.call('ZADD', queued, whole(queued_at), id)
  redis.call('ZADD', failed, 0, id)
  redis.call('HINCRBY', sessions, session, 1)
end
return 'ok'
