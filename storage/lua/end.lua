-- KEYS: fence hash, slot hash, then the streams of unread entries, one per entry
-- ARGV: slot name, token, consumer, then the entry ids
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return false end
redis.call('HSET', KEYS[2], 'open', 0)
for i = 3, #KEYS do
  redis.call('XCLAIM', KEYS[i], 'loop', ARGV[3], 0, ARGV[i + 1], 'RETRYCOUNT', 0, 'JUSTID')
end
return true
