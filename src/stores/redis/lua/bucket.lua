-- What scripts begin with that count the claims of one caller. One sorted set per caller, its bucket:
--   '+' and a record  a claim that is alive; the score is when its lease ends, in milliseconds
--   '-' and a record  one that was claimed for the first time; the score is when that stops to count,
--                     below zero
--   ''                the score is when the set was written last
--
-- The set expires when nothing in it counts any more. Time is the server's.

-- A fail-over may bring a clock that is so far behind.
local CLOCK_SLACK_MS = 5000

-- The clock was set back: what is in the set would count for longer than it should.
local function is_ahead(bucket)
  local written = redis.call('ZSCORE', bucket, '')
  return written and tonumber(written) > now_ms() + CLOCK_SLACK_MS
end

-- What stands in the way of a claim of a record that is new, or nothing. Limits of 0 are none. Only
-- reads: after a write, a server at its limit of memory would take everything.
local function refusal_of(bucket, in_flight, new_keys)
  if is_ahead(bucket) then return nil end
  local now = now_ms()
  if in_flight > 0 and redis.call('ZCOUNT', bucket, '(' .. now, '+inf') >= in_flight then
    return { 'limited', 'inFlight', 0 }
  end
  if new_keys > 0 and redis.call('ZCOUNT', bucket, '-inf', '(' .. -now) >= new_keys then
    -- The latest come first: when this one stops to count, there is room.
    local leaving = redis.call('ZRANGE', bucket, new_keys - 1, new_keys - 1, 'WITHSCORES')
    return { 'limited', 'newKeys', -tonumber(leaving[2]) - now }
  end
  return nil
end

-- Counts a claim that was made, or renewed. window_ms: 0 unless the record is new.
local function enter(bucket, record, lease_ms, window_ms)
  local now = now_ms()
  if is_ahead(bucket) then redis.call('DEL', bucket)
  else redis.call('ZREMRANGEBYSCORE', bucket, -now, now) end
  redis.call('ZADD', bucket, now, '', now + lease_ms, '+' .. record)
  if window_ms > 0 then redis.call('ZADD', bucket, -(now + window_ms), '-' .. record) end
  redis.call('PEXPIRE', bucket, math.max(redis.call('PTTL', bucket), lease_ms, window_ms))
end

-- The claim is over.
local function leave(bucket, record)
  redis.call('ZREM', bucket, '+' .. record)
end
