-- A page of the index of held records, in the order in which they were held.
--
-- KEYS[1]  the index of held records
-- ARGV     how many at most, and where the page begins: after the entry with this score and this id
-- returns  {id, score, id, score, ...}

local limit = tonumber(ARGV[1])
if not ARGV[2] then return redis.call('ZRANGE', KEYS[1], 0, limit - 1, 'WITHSCORES') end
local rank = redis.call('ZRANK', KEYS[1], ARGV[3])
if not rank then
  -- The last entry is gone. What has its score comes in the order of the ids.
  local marked = redis.call('ZADD', KEYS[1], 'NX', ARGV[2], ARGV[3])
  rank = redis.call('ZRANK', KEYS[1], ARGV[3])
  if marked == 1 then redis.call('ZREM', KEYS[1], ARGV[3]) end
  rank = rank - 1
end
return redis.call('ZRANGE', KEYS[1], rank + 1, rank + limit, 'WITHSCORES')
