-- A page of the index of held records, in the order in which they were held.
--
-- KEYS[1]  the index of held records
-- ARGV     how many at most, and where the page begins: after the entry with this score and this id
-- returns  {id, score, id, score, ...}

local limit = tonumber(ARGV[1])
if not ARGV[2] then return redis.call('ZRANGE', KEYS[1], 0, limit - 1, 'WITHSCORES') end
-- By its place, not by its entry: that may have been held again since, and be at the end now.
local before = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. ARGV[2])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[2], ARGV[2])) do
  if id <= ARGV[3] then before = before + 1 end
end
return redis.call('ZRANGE', KEYS[1], before, before + limit - 1, 'WITHSCORES')
