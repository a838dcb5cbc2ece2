-- KEYS: stream, bytes hash, and the key of the operation if there is one
-- ARGV: queue name, body, seconds for which the operation is remembered
if KEYS[3] and not redis.call('SET', KEYS[3], 1, 'NX', 'EX', ARGV[3]) then return 0 end
redis.call('XADD', KEYS[1], '*', 'b', ARGV[2])
redis.call('HINCRBY', KEYS[2], ARGV[1], #ARGV[2])
return 1
