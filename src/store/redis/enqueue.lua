-- Adds an entry, or replaces the record of one, within the bounds. A full Redis refuses it.
--
-- KEYS: due, records, states, queued, failed, index, totals; the sessions of the user.
-- ARGV: id, the revision that is replaced or '-', the new revision, the record, the state, milliseconds
--       until it is due, the session, 1 if it is stale, then the most entries, bytes, entries of stale
--       sessions, bytes of stale sessions, and sessions of a user; the user.
-- Answers 'ok', 'changed' (read it again), 'full', 'stale' or 'user'.
local due, records, states, queued, failed, index, totals, sessions = unpack(KEYS)
local id, replaced, revision, record, state = unpack(ARGV, 1, 5)
local pause, session, stale = tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])

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
redis.call('HSET', records, id, record)
redis.call('HSET', index, id,
  revision .. ' ' .. #record .. ' ' .. stale .. ' ' .. ARGV[14] .. ' ' .. session)
redis.call('HSET', totals, 'bytes', whole(bytes), 'stale_entries', whole(stale_entries),
  'stale_bytes', whole(stale_bytes))
redis.call('HSET', states, id, state)
if not known then
  redis.call('ZADD', due, whole(now + pause), id)
  redis.call('ZADD', queued, whole(now), id)
  redis.call('ZADD', failed, 0, id)
  redis.call('HINCRBY', sessions, session, 1)
end
return 'ok'
