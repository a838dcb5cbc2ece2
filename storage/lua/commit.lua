-- KEYS: fence hash, slot hash, completion hash, dead stream, bytes hash, dropped hash, delayed set,
--       inbox, then every stream named below
-- ARGV: slot name, token, consumer, number, sequence, activation if completed, limit of dead
--       letters, limit of the delayed set, name of the inbox, number of the commit before ('': any);
--       for each stream: its name, length
--       limit, byte limit (0: none), whether to drop the oldest, bytes acknowledged, bytes added,
--       count of outputs, count of acknowledgements; then, for each stream, the bodies of its
--       outputs and the ids of its acknowledged entries; then counted lists: delayed (seconds,
--       body), states (field, value), dead letters (body); then, if completed, how many of the last
--       streams are read, and the names of the slots that write them.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return {'fenced'} end
local number = redis.call('HGET', KEYS[2], 'number')
if number == ARGV[4] then return {'committed'} end
-- The server was started again without its last writes: what was in them would be left out.
if ARGV[10] ~= '' and number ~= ARGV[10] then return {'fenced'} end

local FIRST, FACTS = 8, 8
local streams = #KEYS - FIRST
local function about(stream, what) return ARGV[10 + FACTS * (stream - 1) + what] end

-- Somebody waits at such a queue for one entry, or not any more: it goes by itself.
local ANSWER, ANSWER_TTL = '!answer:', 300
local function is_answer(stream) return string.sub(about(stream, 1), 1, #ANSWER) == ANSWER end

-- Each stream's outputs and acknowledgements, as the places in ARGV of the first and the last.
local outputs, acks = {}, {}
local at = 11 + FACTS * streams
for stream = 1, streams do
  local adding, acking = tonumber(about(stream, 7)), tonumber(about(stream, 8))
  if adding > 0 then outputs[stream] = {at, at + adding - 1} end
  if acking > 0 then acks[stream] = {at + adding, at + adding + acking - 1} end
  at = at + adding + acking
end
local delayed = {}
for i = 1, tonumber(ARGV[at]) do delayed[i] = {tonumber(ARGV[at + 2 * i - 1]), ARGV[at + 2 * i]} end
local states_at = at + 1 + 2 * #delayed
local states = tonumber(ARGV[states_at])
local dead_at = states_at + 1 + 2 * states
local dead = tonumber(ARGV[dead_at])

-- Completion: what has come since the slot found nothing more must not be left behind.
if ARGV[6] ~= '' then
  local reads = tonumber(ARGV[dead_at + 1 + dead])
  for i = #KEYS - reads + 1, #KEYS do
    if redis.call('XLEN', KEYS[i]) > 0 then return {'unfinished'} end
  end
  if redis.call('ZCARD', KEYS[7]) > 0 then return {'unfinished'} end
  for i = dead_at + 2 + dead, #ARGV do
    if redis.call('HGET', KEYS[3], ARGV[i]) ~= ARGV[6] then return {'unfinished'} end
  end
end

-- Ownership: what is acknowledged must still be pending with this consumer.
local foreign = {'not_owner'}
for stream, ids in pairs(acks) do
  -- Acknowledgements come oldest first, so the first look usually finds them all.
  for _, count in ipairs({ids[2] - ids[1] + 1, 1000000}) do
    local mine, unknown = {}, {}
    local rows = redis.pcall('XPENDING', KEYS[FIRST + stream], 'loop', '-', '+', count, ARGV[3])
    for _, row in ipairs(rows) do mine[row[1]] = true end
    for i = ids[1], ids[2] do
      if not mine[ARGV[i]] then unknown[#unknown + 1] = ARGV[i] end
    end
    if #unknown == 0 then break end
    if count == 1000000 then
      for _, id in ipairs(unknown) do foreign[#foreign + 1] = id end
    end
  end
end
if #foreign > 1 then return foreign end

-- Room: a full queue changes nothing, and its writer waits. One that drops its oldest never is.
local function in_hand(stream)
  local summary = redis.pcall('XPENDING', KEYS[FIRST + stream], 'loop')
  return summary.err and 0 or summary[1]
end

local function droppable(stream, entries, bytes)
  -- The oldest entries that nobody has in hand, until so many, and so many bytes, are free.
  local after, found, freed = '-', {}, 0
  local groups = redis.pcall('XINFO', 'GROUPS', KEYS[FIRST + stream])
  if not groups.err and groups[1] then
    for i = 1, #groups[1], 2 do
      if groups[1][i] == 'last-delivered-id' then after = '(' .. groups[1][i + 1] end
    end
  end
  while #found < entries or freed < bytes do
    local rows = redis.call('XRANGE', KEYS[FIRST + stream], after, '+', 'COUNT', 100)
    for _, row in ipairs(rows) do
      if #found >= entries and freed >= bytes then break end
      found[#found + 1] = row[1]
      freed = freed + #row[2][2]
    end
    if #rows < 100 then break end
    after = '(' .. rows[#rows][1]
  end
  return {found, freed}
end

local full, drops, change = {'full'}, {}, {}
for stream, bodies in pairs(outputs) do
  local count, weight = bodies[2] - bodies[1] + 1, tonumber(about(stream, 6))
  local items, bytes = tonumber(about(stream, 2)), tonumber(about(stream, 3))
  local acking = tonumber(about(stream, 8))
  local length = redis.call('XLEN', KEYS[FIRST + stream]) - acking
  change[stream] = weight
  local held = tonumber(redis.call('HGET', KEYS[5], about(stream, 1)) or 0)
  held = held - tonumber(about(stream, 5))
  local over = items > 0 and length + count - items or 0
  local heavy = bytes > 0 and length > 0 and held + weight - bytes or 0
  if over > 0 or heavy > 0 then
    if about(stream, 4) == '1' then
      -- What is in hand is on its way out: it does not count, or a cycle of queues could stick.
      drops[stream] = droppable(stream, over - in_hand(stream) + acking, heavy)
    else
      full[#full + 1] = tostring(stream - 1)
    end
  end
end
if dead > 0 and redis.call('XLEN', KEYS[4]) + dead > tonumber(ARGV[7]) then
  full[#full + 1] = 'dead'
end
if #delayed > 0 and redis.call('ZCARD', KEYS[7]) + #delayed > tonumber(ARGV[8]) then
  -- The loop that could read what is due may be the one that waits here.
  move_due(KEYS[7], KEYS[8], KEYS[5], ARGV[9])
  if redis.call('ZCARD', KEYS[7]) + #delayed > tonumber(ARGV[8]) then full[#full + 1] = 'delayed' end
end
if #full > 1 then return full end

for stream, found in pairs(drops) do
  for _, id in ipairs(found[1]) do redis.call('XDEL', KEYS[FIRST + stream], id) end
  redis.call('HINCRBY', KEYS[6], about(stream, 1), #found[1])
  change[stream] = change[stream] - found[2]
end
for stream, bodies in pairs(outputs) do
  for i = bodies[1], bodies[2] do redis.call('XADD', KEYS[FIRST + stream], '*', 'b', ARGV[i]) end
  if is_answer(stream) then
    redis.call('EXPIRE', KEYS[FIRST + stream], ANSWER_TTL)
    change[stream] = nil
  end
end
for stream, ids in pairs(acks) do
  redis.call('XACK', KEYS[FIRST + stream], 'loop', unpack(ARGV, ids[1], ids[2]))
  redis.call('XDEL', KEYS[FIRST + stream], unpack(ARGV, ids[1], ids[2]))
  change[stream] = (change[stream] or 0) - tonumber(about(stream, 5))
end
for stream, bytes in pairs(change) do
  if redis.call('XLEN', KEYS[FIRST + stream]) == 0 then
    redis.call('HDEL', KEYS[5], about(stream, 1))
  else
    redis.call('HINCRBY', KEYS[5], about(stream, 1), bytes)
  end
end
if #delayed > 0 then
  local time = redis.call('TIME')
  local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
  for i, late in ipairs(delayed) do
    -- A set holds a member once: what comes before the bar tells equal bodies apart.
    local member = ARGV[3] .. ':' .. ARGV[2] .. ':' .. ARGV[4] .. ':' .. i .. '|' .. late[2]
    redis.call('ZADD', KEYS[7], string.format('%.6f', now + late[1]), member)
  end
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
