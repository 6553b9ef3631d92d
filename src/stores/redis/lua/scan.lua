-- Looks at some of the keys, and returns the records among them that are in one state. Not in a
-- Cluster, where each node has its own keys.
--
-- KEYS[1]  the prefix of the records
-- ARGV     cursor, how many keys to look at, the state or 'abandoned'
-- returns  {next cursor, {id, what view() returns, id, ...}}

local pattern = string.gsub(KEYS[1], '[%*%?%[%]%^\\]', '\\%0') .. '*'
local scanned = redis.call('SCAN', ARGV[1], 'MATCH', pattern, 'COUNT', ARGV[2])
local found = {}
for _, key in ipairs(scanned[2]) do
  local packed = redis.pcall('GET', key)
  local record = type(packed) == 'string' and unpacked(packed)
  local state = record and STATES[record.state]
  if state == 'in-flight' and ARGV[3] == 'abandoned' and not is_leased(record) then
    state = 'abandoned'
  end
  if state and state == ARGV[3] then
    found[#found + 1] = string.sub(key, #KEYS[1] + 1)
    found[#found + 1] = view(record, redis.call('PTTL', key), false)
  end
end
return { scanned[1], found }
