-- KEYS: hash of the group
-- ARGV: 1 to give what has arrived by now, 0 to give it if it is all
local batches = tonumber(redis.call('HGET', KEYS[1], 'n') or 0)
if batches == 0 then return false end
if ARGV[1] ~= '1' and redis.call('HLEN', KEYS[1]) - 1 < batches then return {} end
return redis.call('HGETALL', KEYS[1])
