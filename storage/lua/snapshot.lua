-- KEYS: fence hash, slot hash
-- ARGV: slot name, token
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return false end
return redis.call('HGETALL', KEYS[2])
