-- KEYS: fence hash, then the streams
-- ARGV: slot name, token, consumer, count
-- Returns where the group is in each stream, then the entries read: stream, id, body, ...
-- A lost owner must not read: the entry would be pending with the new one, who never hears of it.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return false end

local function read(stream)
  return redis.pcall('XREADGROUP', 'GROUP', 'loop', ARGV[3], 'COUNT', ARGV[4], 'STREAMS', stream, '>')
end

local function place(stream)
  local group = redis.call('XINFO', 'GROUPS', stream)[1]
  for i = 1, #group, 2 do
    if group[i] == 'last-delivered-id' then return group[i + 1] end
  end
end

local places, found = {}, {}
for i = 2, #KEYS do
  local reply = read(KEYS[i])
  if reply and reply.err and string.find(reply.err, 'NOGROUP', 1, true) then
    redis.call('XGROUP', 'CREATE', KEYS[i], 'loop', '0', 'MKSTREAM')
    reply = read(KEYS[i])
  end
  if reply and reply.err then return reply end
  for _, row in ipairs(reply and reply[1][2] or {}) do
    found[#found + 1] = {i - 2, row[1], row[2][2]}
  end
  places[i - 1] = place(KEYS[i])
end
return {places, found}
