-- KEYS: fence hash, slot hash
-- ARGV: slot name, token
local have = redis.call('HGET', KEYS[1], ARGV[1])
if have and tonumber(have) > tonumber(ARGV[2]) then return false end
redis.call('HSET', KEYS[2], 'open', 0)
return true
