-- Adds entries to the revocation list, and publishes those that change the list in the stream of changes. If
-- there are two entries for the same session, the later `until` is kept. The cut-offs of a user are folded
-- into two at most: one that spares no session, and a later one that spares a session;
-- src/store/list/cut_offs.rs says why these refuse the same tokens.
--
-- KEYS: sequence, changes, sessions, users, format; then one for each entry: `sessions`, or the user's own
-- key.
-- ARGV: the number of changes to keep, how many seconds a key is kept longer than its entries, the version of
-- the records; then four for each entry: the session or the user; the spared session, '-' for a cut-off that
-- spares none, nothing for a session; `before`; `until`.
local kept, grace = ARGV[1], tonumber(ARGV[2])
local sequence, changes, sessions, users, format = unpack(KEYS, 1, 5)
-- This write changes nothing. After it, a Redis that is over its `maxmemory` refuses no further write of this
-- script: revocations are small and must be written.
redis.call('ZREM', sessions, '')
redis.call('SETNX', format, ARGV[3])
local now = tonumber(redis.call('TIME')[1])
local newer = false

local function whole(number)
  return string.format('%.0f', number)
end

local function is_expired(ends)
  return ends + grace <= now
end

-- Sets when Redis deletes a key, so that the key disappears even if no gateway runs any more.
local function vanish(key, ends)
  redis.call('EXPIREAT', key, whole(ends + grace))
end

-- Adds a member to a sorted set, or raises its score. Returns whether that changed the set.
local function raise(key, member, ends)
  local known = redis.call('ZSCORE', key, member)
  if known and tonumber(known) >= ends then
    return false
  end
  redis.call('ZADD', key, whole(ends), member)
  local last = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
  vanish(key, tonumber(last[2]))
  return true
end

local function publish_change(line, ends)
  redis.call('XADD', changes, 'MAXLEN', '~', kept, '*', 'n', redis.call('INCR', sequence), 'line', line)
  vanish(changes, ends)
end

local function session(id, ends)
  if raise(sessions, '1 ' .. id, ends) then
    publish_change('1 session ' .. id .. ' ' .. whole(ends), ends)
  end
end

local function later(one, other)
  if not one then
    return other
  end
  return { math.max(one[1], other[1]), math.max(one[2], other[2]) }
end

local function cut_off(key, user, spared, before, ends)
  local everyone, others, other_session
  local function fold(session, added)
    if session == '-' then
      everyone = later(everyone, added)
    elseif not others or session == other_session then
      others, other_session = later(others, added), session
    elseif others[1] <= added[1] then
      everyone = later(everyone, others)
      others, other_session = added, session
    else
      everyone = later(everyone, added)
    end
    if everyone and others and others[1] <= everyone[1] then
      everyone, others, other_session = later(everyone, others), nil, nil
    end
  end

  local known = redis.call('HGETALL', key)
  for i = 1, #known, 2 do
    local b, e = string.match(known[i + 1], '^1 (%-?%d+) (%-?%d+)$')
    if not b then
      newer = true
      return
    elseif not is_expired(tonumber(e)) then
      fold(known[i], { tonumber(b), tonumber(e) })
    end
  end
  fold(spared, { before, ends })

  local lines = {}
  if everyone then
    lines[#lines + 1] = { '-', '1 ' .. whole(everyone[1]) .. ' ' .. whole(everyone[2]) }
  end
  if others then
    lines[#lines + 1] = { other_session, '1 ' .. whole(others[1]) .. ' ' .. whole(others[2]) }
  end
  local is_news = #known ~= #lines * 2
  for _, line in ipairs(lines) do
    is_news = is_news or redis.call('HGET', key, line[1]) ~= line[2]
  end
  if not is_news then
    return
  end
  redis.call('DEL', key)
  for _, line in ipairs(lines) do
    redis.call('HSET', key, line[1], line[2])
  end
  raise(users, user, ends)
  vanish(key, tonumber(redis.call('ZSCORE', users, user)))
  publish_change('1 cut-off ' .. user .. ' ' .. spared .. ' ' .. whole(before) .. ' ' .. whole(ends), ends)
end

for i = 6, #KEYS do
  local name, spared, before, ends = unpack(ARGV, i * 4 - 20, i * 4 - 17)
  before, ends = tonumber(before), tonumber(ends)
  if is_expired(ends) then
    -- Skip an entry that expired so long ago that Redis would delete its key at once.
  elseif spared == '' then
    session(name, ends)
  else
    cut_off(KEYS[i], name, spared, before, ends)
  end
end
if newer then
  return redis.error_reply('UNREADABLE a record was written by a newer release')
end
return 0
