-- KEYS: fence hash, slot hash, completion hash, dead stream, then every stream named below
-- ARGV: slot name, token, consumer, number, sequence, activation if completed, dead letter limit,
--       a length limit per stream (0: none), then counted lists:
--       outputs (stream, body), acknowledgements (stream, entry id), states (field, value),
--       dead letters (body). A stream is named by its place among KEYS.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return {'fenced'} end
if redis.call('HGET', KEYS[2], 'number') == ARGV[4] then return {'committed'} end

local streams = #KEYS - 4
local at = 8 + streams
local function take_pairs()
  local list = {}
  local count = tonumber(ARGV[at])
  at = at + 1
  for i = 1, count do
    list[i] = {tonumber(ARGV[at]) or ARGV[at], ARGV[at + 1]}
    at = at + 2
  end
  return list
end
local outputs = take_pairs()
local acks = take_pairs()
local states_at = at
local states = tonumber(ARGV[at])
local dead_at = at + 1 + 2 * states
local dead = tonumber(ARGV[dead_at])

-- Ownership: what is acknowledged must still be pending with this consumer.
local acked = {}
for _, ack in ipairs(acks) do
  local ids = acked[ack[1]] or {}
  ids[#ids + 1] = ack[2]
  acked[ack[1]] = ids
end
local foreign = {'not_owner'}
for stream, ids in pairs(acked) do
  -- Acknowledgements come oldest first, so the first look usually finds them all.
  for _, count in ipairs({#ids, 1000000}) do
    local mine = {}
    for _, row in ipairs(redis.call('XPENDING', KEYS[stream], 'loop', '-', '+', count, ARGV[3])) do
      mine[row[1]] = true
    end
    local unknown = {}
    for _, id in ipairs(ids) do
      if not mine[id] then unknown[#unknown + 1] = id end
    end
    if #unknown == 0 then break end
    if count == 1000000 then
      for _, id in ipairs(unknown) do foreign[#foreign + 1] = id end
    end
  end
end
if #foreign > 1 then return foreign end

-- Room: a full queue changes nothing, and its writer waits.
local adding = {}
for _, output in ipairs(outputs) do
  adding[output[1]] = (adding[output[1]] or 0) + 1
end
local full = {'full'}
for stream, count in pairs(adding) do
  local limit = tonumber(ARGV[7 + stream - 4])
  if limit > 0 and redis.call('XLEN', KEYS[stream]) + count > limit then
    full[#full + 1] = tostring(stream - 5)
  end
end
if dead > 0 and redis.call('XLEN', KEYS[4]) + dead > tonumber(ARGV[7]) then
  full[#full + 1] = 'dead'
end
if #full > 1 then return full end

for _, output in ipairs(outputs) do
  redis.call('XADD', KEYS[output[1]], '*', 'b', output[2])
end
for stream, ids in pairs(acked) do
  redis.call('XACK', KEYS[stream], 'loop', unpack(ids))
  redis.call('XDEL', KEYS[stream], unpack(ids))
end
for i = 1, states do
  redis.call('HSET', KEYS[2], ARGV[states_at + 2 * i - 1], ARGV[states_at + 2 * i])
end
for i = 1, dead do
  redis.call('XADD', KEYS[4], '*', 'b', ARGV[dead_at + i])
end
redis.call('HSET', KEYS[2], 'number', ARGV[4], 'sequence', ARGV[5])
if ARGV[6] ~= '' then redis.call('HSET', KEYS[3], ARGV[1], ARGV[6]) end
return {'committed'}
