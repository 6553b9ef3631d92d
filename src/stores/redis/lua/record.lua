-- What every script begins with: how a record is kept.
--
-- One string key per record, so that it works in a Cluster and stays small. Packed, in this order:
--   state       'issued', 'in-flight', 'released', 'completed' or 'held', by its first letter
--   owner       '' when it was only issued
--   attempt
--   token       the fencing token
--   fingerprint '' matches everything
--   lease       when the lease ends, in milliseconds; 0 unless in flight
--   steps       results by name, or false
--   content     the reply when completed, the reason when held, 'a' in flight when the owner before
--               ran out of its lease, else ''
--
-- Time is always the server's. Retention is the key's own expiry; a held record has none.

local STATES = { s = 'issued', i = 'in-flight', r = 'released', c = 'completed', h = 'held' }

local ABANDONED = 'a'

local asked_us

-- A script is one moment, so that the server is asked once.
local function now_us()
  if not asked_us then
    local time = redis.call('TIME')
    asked_us = time[1] * 1000000 + time[2]
  end
  return asked_us
end

local function now_ms()
  return math.floor(now_us() / 1000)
end

local function read()
  local packed = redis.call('GET', KEYS[1])
  if not packed then return nil end
  local state, owner, attempt, token, fingerprint, lease, steps, content = cmsgpack.unpack(packed)
  return {
    state = state, owner = owner, attempt = attempt, token = token,
    fingerprint = fingerprint, lease = lease, steps = steps, content = content,
  }
end

-- how: 'PX' with milliseconds from now, 'KEEPTTL', or nothing to keep the record without end
local function write(record, how, retention_ms)
  if how == 'PX' and tonumber(retention_ms) <= 0 then
    redis.call('DEL', KEYS[1])
    return
  end
  local packed = cmsgpack.pack(
    record.state, record.owner, record.attempt, record.token,
    record.fingerprint, record.lease, record.steps, record.content)
  if retention_ms then
    redis.call('SET', KEYS[1], packed, how, retention_ms)
  elseif how then
    redis.call('SET', KEYS[1], packed, how)
  else
    redis.call('SET', KEYS[1], packed)
  end
end

local function is_leased(record)
  return record.state == 'i' and now_ms() < record.lease
end

-- True when `owner` may still settle the record; `from` is 'in-flight' or 'held'.
local function is_owned(record, owner, from)
  if not record or record.owner ~= owner then return false end
  if from == 'held' then return record.state == 'h' end
  return is_leased(record)
end

-- Wakes duplicates that wait, in any process: the channel is called like the key.
local function wake()
  redis.call('PUBLISH', KEYS[1], '')
end

local function flat(steps)
  local list = {}
  if steps then
    for name, value in pairs(steps) do
      list[#list + 1] = name
      list[#list + 1] = value
    end
  end
  return list
end
