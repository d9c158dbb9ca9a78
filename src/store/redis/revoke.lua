-- Enters lines of the revocation list, and tells of what is new in the stream of changes. Of two for
-- the same session, or for the same user and spared session, the later times count.
--
-- KEYS: sequence, changes, sessions, users; then one for each line: `sessions`, or the user's own.
-- ARGV: how many changes are kept, how many seconds a key outlives its lines; then four for each line:
--       name, the spared session or nothing, before, until.
local kept, grace = ARGV[1], tonumber(ARGV[2])
local sequence, changes, sessions, users = unpack(KEYS, 1, 4)
local now = tonumber(redis.call('TIME')[1])
local newer = false

local function whole(number)
  return string.format('%.0f', number)
end

local function outlived(ends)
  return ends + grace <= now
end

-- Lets a key vanish even if no gateway runs any more.
local function vanish(key, ends)
  redis.call('EXPIREAT', key, whole(ends + grace))
end

-- Answers whether that was news.
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

local function tell(line, ends)
  redis.call('XADD', changes, 'MAXLEN', '~', kept, '*', 'n', redis.call('INCR', sequence), 'line', line)
  vanish(changes, ends)
end

local function session(id, ends)
  if raise(sessions, '1 ' .. id, ends) then
    tell('1 session ' .. id .. ' ' .. whole(ends), ends)
  end
end

local function cut_off(key, user, spared, before, ends)
  local known = redis.call('HGETALL', key)
  for i = 1, #known, 2 do
    local b, e = string.match(known[i + 1], '^1 (%-?%d+) (%-?%d+)$')
    if not b and known[i] == spared then
      newer = true
      return
    elseif known[i] == spared then
      before, ends = math.max(before, tonumber(b)), math.max(ends, tonumber(e))
      if before == tonumber(b) and ends == tonumber(e) then
        return
      end
    elseif b and outlived(tonumber(e)) then
      redis.call('HDEL', key, known[i])
    end
  end
  redis.call('HSET', key, spared, '1 ' .. whole(before) .. ' ' .. whole(ends))
  raise(users, user, ends)
  vanish(key, tonumber(redis.call('ZSCORE', users, user)))
  tell('1 cut-off ' .. user .. ' ' .. spared .. ' ' .. whole(before) .. ' ' .. whole(ends), ends)
end

for i = 5, #KEYS do
  local name, spared, before, ends = unpack(ARGV, i * 4 - 17, i * 4 - 14)
  before, ends = tonumber(before), tonumber(ends)
  if outlived(ends) then
    -- Its key would vanish under our hands.
  elseif spared == '' then
    session(name, ends)
  else
    cut_off(KEYS[i], name, spared, before, ends)
  end
end
if newer then
  return redis.error_reply('UNREADABLE a line there was written by a newer release')
end
return 0
