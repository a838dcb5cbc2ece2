-- KEYS: fence hash, stream, then the slot hashes of other consumers
-- ARGV: slot name, token, consumer, then those consumers
-- Returns the ids claimed, each with its deliveries.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return {} end
local claimed = {}
for i = 3, #KEYS do
  -- One that is open has an owner, or gets one: only that owner may touch what it has in hand.
  if redis.call('HGET', KEYS[i], 'open') ~= '1' then
    for _, row in ipairs(redis.call('XPENDING', KEYS[2], 'loop', '-', '+', 1000000, ARGV[i + 1])) do
      redis.call('XCLAIM', KEYS[2], 'loop', ARGV[3], 0, row[1], 'JUSTID')  -- charges nothing
      claimed[#claimed + 1] = {row[1], row[4]}
    end
  end
end
return claimed
