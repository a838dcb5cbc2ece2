-- KEYS: hash of the group
-- ARGV: number of batches, milliseconds to live
if redis.call('HSETNX', KEYS[1], 'n', ARGV[1]) == 1 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return true
