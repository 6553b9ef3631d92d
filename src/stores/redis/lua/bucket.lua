-- Shared by the scripts that count the claims of one caller. Each caller has a sorted set, its bucket:
--   '+' and a record  a live claim; the score is when its lease ends, in milliseconds
--   '-' and a record  a key that was claimed for the first time; the score is when it stops counting,
--                     as a negative number
--   ''                the score is when the set was last written
--
-- The set expires when nothing in it counts any more. All times are the server's.

-- How far behind the clock of another server may be after a fail-over.
local CLOCK_SLACK_MS = 5000

-- Whether the clock was set back. Entries in the set would then count for too long.
local function is_ahead(bucket)
  local written = redis.call('ZSCORE', bucket, '')
  return written and tonumber(written) > now_ms() + CLOCK_SLACK_MS
end

-- The limit that a claim of a new record would exceed, or nil. A limit of 0 is no limit. This only reads:
-- once a script has written, a server that is out of memory accepts its other writes too.
local function refusal_of(bucket, in_flight, new_keys)
  if is_ahead(bucket) then return nil end
  local now = now_ms()
  if in_flight > 0 and redis.call('ZCOUNT', bucket, '(' .. now, '+inf') >= in_flight then
    return { 'limited', 'inFlight', 0 }
  end
  if new_keys > 0 and redis.call('ZCOUNT', bucket, '-inf', '(' .. -now) >= new_keys then
    -- Scores are negative, so the newest keys come first. There is room when this one stops counting.
    local leaving = redis.call('ZRANGE', bucket, new_keys - 1, new_keys - 1, 'WITHSCORES')
    return { 'limited', 'newKeys', -tonumber(leaving[2]) - now }
  end
  return nil
end

-- Counts a new or renewed claim. window_ms is 0 unless the record is new. In a Cluster, nothing waits for
-- this: a claim may arrive after its renewal, which then stands.
local function enter(bucket, record, lease_ms, window_ms)
  local now = now_ms()
  if is_ahead(bucket) then redis.call('DEL', bucket)
  else redis.call('ZREMRANGEBYSCORE', bucket, -now, now) end
  local counted_until = redis.call('ZSCORE', bucket, '+' .. record) or now
  local lease_end = math.max(now + lease_ms, tonumber(counted_until))
  redis.call('ZADD', bucket, now, '', lease_end, '+' .. record)
  if window_ms > 0 then redis.call('ZADD', bucket, -(now + window_ms), '-' .. record) end
  redis.call('PEXPIRE', bucket, math.max(redis.call('PTTL', bucket), lease_ms, window_ms))
end

-- Stops counting a claim that has ended.
local function leave(bucket, record)
  redis.call('ZREM', bucket, '+' .. record)
end
