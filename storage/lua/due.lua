-- Moves what is due from a loop's delayed set into its inbox; tells in how many seconds more is due.
local function move_due(delayed, inbox, bytes, name)
  local time = redis.call('TIME')
  local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
  local moved = 0
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, 1000)) do
    local body = string.sub(member, string.find(member, '|', 1, true) + 1)
    redis.call('XADD', inbox, '*', 'b', body)
    redis.call('ZREM', delayed, member)
    moved = moved + #body
  end
  if moved > 0 then redis.call('HINCRBY', bytes, name, moved) end
  local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  return first[2] and tostring(math.max(0, tonumber(first[2]) - now)) or ''
end
