-- KEYS: hash of the group, the list that wakes who waits
-- ARGV: batch, results
local batches = tonumber(redis.call('HGET', KEYS[1], 'n') or 0)
if batches == 0 then return 0 end
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
if redis.call('HLEN', KEYS[1]) - 1 == batches then
  redis.call('RPUSH', KEYS[2], 1)
  redis.call('PEXPIRE', KEYS[2], math.max(1, redis.call('PTTL', KEYS[1])))
end
return 1
