-- Appends failures to the failure log, and removes the oldest failures beyond the limits. The list of all
-- failures and the list of each user have the newest failure first.
--
-- KEYS: the list of all failures. ARGV: the prefix of the keys of the users' lists, the limit for all users,
-- the limit for each user; then two for each failure: the user, the record.
local failures, of_user = KEYS[1], ARGV[1]
local kept, kept_of_user = tonumber(ARGV[2]), tonumber(ARGV[3])
for i = 4, #ARGV, 2 do
  local user, record = ARGV[i], ARGV[i + 1]
  redis.call('LPUSH', failures, record)
  redis.call('LPUSH', of_user .. user, record)
  if redis.call('LLEN', of_user .. user) > kept_of_user then
    local oldest = redis.call('RPOP', of_user .. user)
    redis.call('LREM', failures, -1, oldest)
  end
end
while redis.call('LLEN', failures) > kept do
  local oldest = redis.call('RPOP', failures)
  local user = string.match(oldest, '"user_id":"([%x-]+)"')
  if user then
    redis.call('LREM', of_user .. user, -1, oldest)
  end
end
return 0
