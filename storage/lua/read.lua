-- KEYS: fence hash, delayed set, inbox, bytes hash, then the streams
-- ARGV: slot name, token, consumer, count, name of the inbox
-- Returns the entries read (stream, id, body), in how many seconds more of the delayed set is due
-- ('' for never), and, if nothing was read, where the group is in each stream.
-- A lost owner must not read: the entry would be pending with the new one, who never hears of it.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return false end
local due = move_due(KEYS[2], KEYS[3], KEYS[4], ARGV[5])
local left = tonumber(ARGV[4])

local function read(stream)
  return redis.pcall('XREADGROUP', 'GROUP', 'loop', ARGV[3], 'COUNT', left, 'STREAMS', stream, '>')
end

local function place(stream)
  local group = redis.call('XINFO', 'GROUPS', stream)[1]
  for i = 1, #group, 2 do
    if group[i] == 'last-delivered-id' then return group[i + 1] end
  end
end

local found, places = {}, {}
for i = 5, #KEYS do
  if left <= 0 then break end
  local reply = read(KEYS[i])
  if reply and reply.err and string.find(reply.err, 'NOGROUP', 1, true) then
    redis.call('XGROUP', 'CREATE', KEYS[i], 'loop', '0', 'MKSTREAM')
    reply = read(KEYS[i])
  end
  if reply and reply.err then return reply end
  for _, row in ipairs(reply and reply[1][2] or {}) do
    found[#found + 1] = {i - 5, row[1], row[2][2]}
    left = left - 1
  end
end
if #found == 0 then
  for i = 5, #KEYS do places[i - 4] = place(KEYS[i]) end
end
return {found, due, places}
