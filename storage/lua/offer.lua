-- KEYS: stream, bytes hash, and the key of the operation if there is one
-- ARGV: queue name, body, length limit, byte limit (0: none), mark of the operation, seconds for
--       which the operation is remembered
if KEYS[3] then
  local known = redis.call('GET', KEYS[3])
  if known then return known == ARGV[5] and 'repeated' or 'other' end
end
local items, bytes = tonumber(ARGV[3]), tonumber(ARGV[4])
local length = redis.call('XLEN', KEYS[1])
local held = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or 0)
if items > 0 and length >= items then return 'full' end
if bytes > 0 and length > 0 and held + #ARGV[2] > bytes then return 'full' end
if KEYS[3] then redis.call('SET', KEYS[3], ARGV[5], 'EX', ARGV[6]) end
redis.call('XADD', KEYS[1], '*', 'b', ARGV[2])
redis.call('HINCRBY', KEYS[2], ARGV[1], #ARGV[2])
return 'taken'
