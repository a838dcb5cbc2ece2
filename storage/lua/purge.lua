-- KEYS: stream, bytes hash
-- ARGV: queue name, id of the last entry to remove, how many at most
-- Removes entries that were never handed out; returns how many.
local after = '-'
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
if not groups.err and groups[1] then
  for i = 1, #groups[1], 2 do
    if groups[1][i] == 'last-delivered-id' then after = '(' .. groups[1][i + 1] end
  end
end
local rows = redis.call('XRANGE', KEYS[1], after, ARGV[2], 'COUNT', ARGV[3])
local bytes = 0
for _, row in ipairs(rows) do
  redis.call('XDEL', KEYS[1], row[1])
  bytes = bytes + #row[2][2]
end
if bytes > 0 then redis.call('HINCRBY', KEYS[2], ARGV[1], -bytes) end
return #rows
