-- KEYS: bytes hash, dropped hash, then the streams
-- ARGV: the names of their queues
-- Returns for each: length, entries added, id of the first entry ('' for none), bytes, dropped, and
-- for each slot that has something in hand its number and how much.
local function told(stream, name)
  local length, added, first = 0, 0, ''
  local info = redis.pcall('XINFO', 'STREAM', stream)  -- an error says that there is none
  if not info.err then
    for i = 1, #info, 2 do
      if info[i] == 'length' then length = info[i + 1] end
      if info[i] == 'entries-added' then added = info[i + 1] end
      if info[i] == 'first-entry' and info[i + 1] then first = info[i + 1][1] end
    end
  end
  local row = {
    length, added, first,
    redis.call('HGET', KEYS[1], name) or '0', redis.call('HGET', KEYS[2], name) or '0',
  }
  local pending = redis.pcall('XPENDING', stream, 'loop')
  for _, pair in ipairs(not pending.err and pending[4] or {}) do
    row[#row + 1] = pair[1]
    row[#row + 1] = pair[2]
  end
  return row
end

local found = {}
for i = 3, #KEYS do found[i - 2] = told(KEYS[i], ARGV[i - 2]) end
return found
