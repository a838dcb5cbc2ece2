-- KEYS: fence hash, slot hash, then the streams the slot reads
-- ARGV: slot name, token, consumer
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return false end
redis.call('HSET', KEYS[2], 'open', 0)
for i = 3, #KEYS do
  -- An error says that there is no such stream or group: nothing was ever read.
  for _, row in ipairs(redis.pcall('XPENDING', KEYS[i], 'loop', '-', '+', 1000000, ARGV[3])) do
    redis.call('XCLAIM', KEYS[i], 'loop', ARGV[3], 0, row[1], 'RETRYCOUNT', 0, 'JUSTID')
  end
end
return true
