-- KEYS: stream, bytes hash
-- ARGV: queue name, id of the last entry to remove, how many at most
-- Removes entries that nobody has in hand, and returns how many: those that were never handed out,
-- and those that a slot has left behind at its clean end.
local after, removed, bytes = '-', 0, 0
local function remove(row)
  redis.call('XDEL', KEYS[1], row[1])
  removed = removed + 1
  bytes = bytes + #row[2][2]
end

local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
if not groups.err and groups[1] then
  for i = 1, #groups[1], 2 do
    if groups[1][i] == 'last-delivered-id' then after = '(' .. groups[1][i + 1] end
  end
  for _, handed in ipairs(redis.call('XPENDING', KEYS[1], 'loop', '-', ARGV[2], 1000000)) do
    if handed[4] == 0 then
      redis.call('XACK', KEYS[1], 'loop', handed[1])
      for _, row in ipairs(redis.call('XRANGE', KEYS[1], handed[1], handed[1])) do remove(row) end
    end
  end
end
local waiting = redis.call('XRANGE', KEYS[1], after, ARGV[2], 'COUNT', ARGV[3])
for _, row in ipairs(waiting) do remove(row) end
if bytes > 0 then redis.call('HINCRBY', KEYS[2], ARGV[1], -bytes) end
return {removed, #waiting}
