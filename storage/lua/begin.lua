-- KEYS: fence hash, slot hash, completion hash
-- ARGV: slot name, token, activation, then what to restore if nothing is known: sequence, and
--       fields with their values
local have = redis.call('HGET', KEYS[1], ARGV[1])
if have and tonumber(have) > tonumber(ARGV[2]) then return false end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])

local activation = redis.call('HGET', KEYS[2], 'activation')
if activation ~= ARGV[3] then
  redis.call('DEL', KEYS[2])
  redis.call('HDEL', KEYS[3], ARGV[1])
  redis.call('HSET', KEYS[2], 'activation', ARGV[3], 'sequence', 0, 'number', 0)
  if not activation and ARGV[4] then
    redis.call('HSET', KEYS[2], 'sequence', ARGV[4])
    for i = 5, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
  end
end

-- A slot that is still open was not left by `end`: its owner died.
local crashes = 0
if redis.call('HGET', KEYS[2], 'open') == '1' then
  local sequence = redis.call('HGET', KEYS[2], 'sequence')
  if redis.call('HGET', KEYS[2], 'crashed_at') == sequence then
    crashes = redis.call('HINCRBY', KEYS[2], 'crashes', 1)
  else
    crashes = 1
    redis.call('HSET', KEYS[2], 'crashed_at', sequence, 'crashes', 1)
  end
end
redis.call('HSET', KEYS[2], 'open', 1)
return {crashes, redis.call('HGETALL', KEYS[2])}
