-- KEYS: completion hash, delayed set, then the streams
-- ARGV: activation, then the names of the writer slots
if redis.call('ZCARD', KEYS[2]) > 0 then return false end
for i = 3, #KEYS do
  if redis.call('XLEN', KEYS[i]) > 0 then return false end
end
for i = 2, #ARGV do
  if redis.call('HGET', KEYS[1], ARGV[i]) ~= ARGV[1] then return false end
end
return true
