-- The beginning of every script: how a record is stored.
--
-- One string key per record, so that it works in a Cluster and stays small. Packed, in this order:
--   state       'issued', 'in-flight', 'released', 'completed' or 'held', by its first letter; 'f' for
--               a forgotten record, of which only the fencing token is left
--   owner       '' if it was only issued
--   attempt
--   token       the fencing token
--   fingerprint '' matches everything
--   lease       when the lease ends, in milliseconds; 0 unless in flight
--   lease_ms    how long the lease is: what remains of it is never more, even if the clock is set back
--   steps       results by name, or false
--   content     the reply when completed, the reason when held, 'a' in flight when the owner before
--               ran out of its lease, else ''
--   waited      how duplicates listen that wait for the record in flight: 'p' on a channel, 's' on a
--               sharded one, 'b' on both; false or absent when nobody waits
--   scope       for operators, as all that follow: a text or false; absent in an older record
--   label       a text or false
--   created     when the record was made, in milliseconds
--   claimed     when the last attempt began, or false for the first one, which began when it was made
--   held        when it was held the last time
--   held_note   why, as text
--   settled     when somebody settled it
--   settled_note who and why, as text
--
-- Time is always the server's. The ttl is the key's expiry; a held record has none.

local STATES = { s = 'issued', i = 'in-flight', r = 'released', c = 'completed', h = 'held' }

local ABANDONED = 'a'

-- How long the token of a forgotten record is kept. The clock may be set back by less than this.
local FORGOTTEN_MS = 86400000

-- A record may grow by this and still count as not growing: for a sealed tombstone or a short reason.
local SLACK_BYTES = 128

local asked_us

-- A script is one moment, so the time is read once.
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

-- A score of the index of held records, in microseconds. As text, which else has fewer digits.
local function score_of(us)
  return string.format('%.0f', us)
end

-- Returns the record or nil, and the last fencing token of the id.
local function unpacked(packed)
  local state, owner, attempt, token, fingerprint, lease, lease_ms, steps, content, waited,
    scope, label, created, claimed, held, held_note, settled, settled_note = cmsgpack.unpack(packed)
  if state == 'f' then return nil, token end
  return {
    state = state, owner = owner, attempt = attempt, token = token, fingerprint = fingerprint,
    lease = lease, lease_ms = lease_ms, steps = steps, content = content, waited = waited,
    scope = scope, label = label, created = created, claimed = claimed, held = held,
    held_note = held_note, settled = settled, settled_note = settled_note, size = #packed,
  }, token
end

-- Returns the record or nil, and the last fencing token of the id or 0.
local function read()
  local packed = redis.call('GET', KEYS[1])
  if not packed then return nil, 0 end
  return unpacked(packed)
end

-- A server at its limit refuses what may need memory, but not in a script that has written already.
-- What does not grow does not wait for memory: an owner whose lease could not be renewed, or whose
-- end could not be recorded, would be followed by another.
local function set(record, packed, how, ms)
  local answer
  if ms then answer = redis.pcall('SET', KEYS[1], packed, how, ms)
  elseif how then answer = redis.pcall('SET', KEYS[1], packed, how)
  else answer = redis.pcall('SET', KEYS[1], packed) end
  local refused = type(answer) == 'table' and answer.err
  if not refused then return end
  local fits = record.size and #packed <= record.size + SLACK_BYTES
  if not fits or not string.find(refused, 'OOM', 1, true) then return error(refused) end
  if how == 'KEEPTTL' then ms = redis.call('PTTL', KEYS[1]) end
  redis.call('DEL', KEYS[1])
  redis.call('SET', KEYS[1], packed)
  if ms and tonumber(ms) > 0 then redis.call('PEXPIRE', KEYS[1], ms) end
end

-- A record that is finished is not waited for. Of those that wait for a released one, all but one wait
-- for the next owner.
local function pack(record)
  local waited = (record.state == 'i' or record.state == 'r') and record.waited or false
  if record.held or record.settled then
    return cmsgpack.pack(
      record.state, record.owner, record.attempt, record.token, record.fingerprint, record.lease,
      record.lease_ms, record.steps, record.content, waited, record.scope or false,
      record.label or false, record.created or false, record.claimed or false, record.held or false,
      record.held_note or false, record.settled or false, record.settled_note or false)
  end
  if record.created or record.scope then
    return cmsgpack.pack(
      record.state, record.owner, record.attempt, record.token, record.fingerprint, record.lease,
      record.lease_ms, record.steps, record.content, waited, record.scope or false,
      record.label or false, record.created or false, record.claimed or false)
  end
  if waited then
    return cmsgpack.pack(
      record.state, record.owner, record.attempt, record.token, record.fingerprint, record.lease,
      record.lease_ms, record.steps, record.content, waited)
  end
  return cmsgpack.pack(
    record.state, record.owner, record.attempt, record.token,
    record.fingerprint, record.lease, record.lease_ms, record.steps, record.content)
end

-- What find.lua and scan.lua return about a record.
local function view(record, ttl_ms, with_content)
  local is_short = record.state == 'h' or with_content
  return {
    STATES[record.state], record.owner, record.attempt, record.token, record.fingerprint,
    math.min(record.lease - now_ms(), record.lease_ms), ttl_ms, is_short and record.content or '',
    {}, record.scope or '', record.label or '', record.created or 0,
    record.claimed or record.created or 0, record.held or 0, record.held_note or '',
    record.settled or 0, record.settled_note or '',
  }
end

-- Remembers who settles a held record.
local function settled_by(record, note)
  record.settled, record.settled_note = now_ms(), note
end

-- how: 'PX' with milliseconds from now, 'KEEPTTL', or nothing if the record never expires
local function write(record, how, ttl_ms)
  if how == 'PX' and tonumber(ttl_ms) <= 0 then
    redis.call('DEL', KEYS[1])
    return
  end
  set(record, pack(record), how, ttl_ms)
end

local function is_leased(record)
  return record.state == 'i' and now_ms() < record.lease
end

-- Until the lease ends, in milliseconds. One that seems longer than it is was begun before the clock
-- was set back: it ends its own length from now.
local function lease_remaining(record)
  local remaining = record.lease - now_ms()
  if remaining <= record.lease_ms then return remaining end
  record.lease = now_ms() + record.lease_ms
  write(record, 'KEEPTTL')
  return record.lease_ms
end

-- True if `owner` may still settle the record; `from` is 'in-flight' or 'held'.
local function is_owned(record, owner, from)
  if not record or record.owner ~= owner then return false end
  if from == 'held' then return record.state == 'h' end
  return is_leased(record)
end

-- Leaves the mark of a duplicate that waits. Where it cannot be written, the duplicate polls.
local function leave_mark(record, mark)
  if record.waited == mark or record.waited == 'b' then return end
  record.waited = record.waited and 'b' or mark
  redis.pcall('SET', KEYS[1], pack(record), 'KEEPTTL')
end

-- Wakes duplicates that wait in any process, where one has left its mark: in a Cluster, each message
-- goes to every node. The channel has the name of the key. Users who may not publish have to poll.
-- The message says how many listen, so that many do not all ask at once; it is empty where the user may
-- not know.
local function publish(command, count)
  local heard = redis.pcall('PUBSUB', count, KEYS[1])
  redis.pcall(command, KEYS[1], heard[2] and tostring(heard[2]) or '')
end

local function wake(record)
  local waited = record.waited
  if waited == 'p' or waited == 'b' then publish('PUBLISH', 'NUMSUB') end
  if waited == 's' or waited == 'b' then publish('SPUBLISH', 'SHARDNUMSUB') end
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
