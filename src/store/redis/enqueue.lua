-- Adds an entry to the queue, or replaces the record of an entry, if the bounds allow it. A Redis that is
-- over its `maxmemory` refuses this script, except for moving an entry of the first release, because the move
-- frees the old record.
--
-- KEYS: due, records, states, queued, failed, index, totals; the set of ids of the user's entries; to move an
-- entry of the first release also the keys due, records and queued of that release.
-- ARGV: the id; the revision to replace, or '-' to add an entry; the new revision; the record; the state;
-- milliseconds until the entry is due; the session; 1 if the entry is stale, else 0; the user; the id of the
-- first release, or nothing; then the bounds: entries, bytes, sessions of the user, bytes of the user; then
-- the same bounds for stale sessions.
-- Returns 'ok', or 'changed' (the caller must read the entry again and retry), or the bound that was reached:
-- 'full' (of the queue), 'stale' (of stale sessions) or 'user' (of the user).
local due, records, states, queued, failed, index, totals, of_user = unpack(KEYS, 1, 8)
local old_due, old_records, old_queued = unpack(KEYS, 9, 11)
local id, replaced, revision, record, state = unpack(ARGV, 1, 5)
local pause, session, stale = tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])
local user, old_id = ARGV[9], ARGV[10]
local bounds, stale_bounds = {}, {}
for n = 1, 4 do
  bounds[n], stale_bounds[n] = tonumber(ARGV[10 + n]), tonumber(ARGV[14 + n])
end

if old_id ~= '' and redis.call('HEXISTS', old_records, old_id) == 0 then
  -- Another instance has moved the entry already.
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

-- The share of this user with this entry: bytes, and whether each session is stale.
local user_bytes, user_stale_bytes, is_stale = #record, stale * #record, { [session] = stale == 1 }
local is_known, gone = known, {}
for _, other in ipairs(redis.call('SMEMBERS', of_user)) do
  local line = other ~= id and redis.call('HGET', index, other)
  if line then
    local other_bytes, other_stale, other_session = string.match(line, '^%d+ (%d+) ([01]) %S+ (%S+)$')
    user_bytes = user_bytes + tonumber(other_bytes)
    user_stale_bytes = user_stale_bytes + tonumber(other_stale) * tonumber(other_bytes)
    is_known = is_known or other_session == session
    is_stale[other_session] = is_stale[other_session] ~= false and other_stale == '1'
  elseif other ~= id then
    gone[#gone + 1] = other
  end
end
local sessions, stale_sessions = 0, 0
-- A session that is in the queue may always add entries: the bound of sessions does not apply.
if not is_known then
  for _, session_is_stale in pairs(is_stale) do
    sessions = sessions + 1
    stale_sessions = stale_sessions + (session_is_stale and 1 or 0)
  end
end

if sessions > bounds[3] or user_bytes > bounds[4]
  or stale == 1 and (stale_sessions > stale_bounds[3] or user_stale_bytes > stale_bounds[4]) then
  return 'user'
elseif entries > bounds[1] or bytes > bounds[2] then
  return 'full'
elseif stale == 1 and (stale_entries > stale_bounds[1] or stale_bytes > stale_bounds[2]) then
  return 'stale'
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function whole(number)
  return string.format('%.0f', number)
end
local queued_at = now
if old_id ~= '' then
  -- Begin with these writes, which need no memory: once a script has written, a Redis over its `maxmemory`
  -- refuses none of its later writes.
  queued_at = tonumber(redis.call('ZSCORE', old_queued, old_id) or now)
  queued_at = math.min(queued_at, tonumber(redis.call('ZSCORE', queued, id) or queued_at))
  redis.call('ZREM', old_due, old_id)
  redis.call('ZREM', old_queued, old_id)
  redis.call('HDEL', old_records, old_id)
  redis.call('ZADD', queued, whole(queued_at), id)
end
redis.call('HSET', records, id, record)
redis.call('HSET', index, id,
  revision .. ' ' .. #record .. ' ' .. stale .. ' ' .. user .. ' ' .. session)
redis.call('SADD', of_user, id)
-- `gone` has the ids of entries that an instance of an earlier release removed without updating this set.
for _, other in ipairs(gone) do
  redis.call('SREM', of_user, other)
end
redis.call('HSET', totals, 'bytes', whole(bytes), 'stale_entries', whole(stale_entries),
  'stale_bytes', whole(stale_bytes))
-- Keep the state of an entry that exists: a worker may have changed it since the caller read the entry.
if not known then
  redis.call('HSET', states, id, state)
  redis.call('ZADD', due, whole(now + pause), id)
  redis.call('ZADD', queued, whole(queued_at), id)
  redis.call('ZADD', failed, 0, id)
end
return 'ok'
