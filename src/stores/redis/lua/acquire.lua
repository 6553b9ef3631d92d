-- Claims a record that is free, released, issued, or whose lease has expired. A client that lost its
-- connection may send the same claim again: it gets the same answer.
--
-- KEYS[1]  the record
-- KEYS[2]  the bucket of its caller, where callers are limited and both are on one node
-- ARGV     owner, fingerprint, lease in ms, ttl in ms, '1' when it must have been issued,
--          a fencing token that the new one has to exceed, the mark to leave when it is in flight or
--          '' when nobody waits for it, scope, label or ''; where callers are limited also
--          claims that may be alive, keys that may be new (0 for no limit), for how many ms they count
-- returns  {'acquired', attempt, fencing token, 1 when the last owner's lease ran out, steps,
--           where callers are limited: -2 when the record is not new, -1 when there was none, else
--           for how many more ms the record that was only issued might have been claimed}
--          {'limited', which limit, ms until there is room}
--          {'completed', reply, ms until it is forgotten}    {'in-flight', ms until the lease ends}
--          {'held', reason}        {'mismatch', the record's fingerprint}        {'unknown'}

local owner, fingerprint = ARGV[1], ARGV[2]
local lease_ms, ttl_ms = tonumber(ARGV[3]), tonumber(ARGV[4])
local record, last_token = read()
local attempt, abandoned, steps = 1, 0, false

if not record then
  if ARGV[5] == '1' then return { 'unknown' } end
else
  local matches = fingerprint == '' or record.fingerprint == '' or fingerprint == record.fingerprint
  local is_bound = record.state ~= 'r' or record.steps
  if not matches and is_bound then return { 'mismatch', record.fingerprint } end
  if record.state == 'c' then return { 'completed', record.content, redis.call('PTTL', KEYS[1]) } end
  if record.state == 'h' then return { 'held', record.content } end
  if record.state == 'i' then
    local remaining = lease_remaining(record)
    if remaining > 0 and record.owner == owner then
      local was_abandoned = record.content == ABANDONED and 1 or 0
      return { 'acquired', record.attempt, record.token, was_abandoned, flat(record.steps) }
    end
    if remaining > 0 then
      if ARGV[7] ~= '' then leave_mark(record, ARGV[7]) end
      return { 'in-flight', remaining }
    end
    abandoned = 1
  end
  if matches then attempt = record.attempt + 1 end
  if fingerprint == '' then fingerprint = record.fingerprint end
  steps = record.steps
end

local new_for = -2
if ARGV[10] and not record then new_for = -1 end
if ARGV[10] and record and record.state == 's' then new_for = redis.call('PTTL', KEYS[1]) end
if KEYS[2] and new_for ~= -2 then
  local refusal = refusal_of(KEYS[2], tonumber(ARGV[10]), tonumber(ARGV[11]))
  if refusal then return refusal end
end

-- Microseconds, so that it grows also when nothing is known of the record any more.
local token = math.max(last_token + 1, now_us(), tonumber(ARGV[6]) + 1)
local story = record or { created = now_ms() }
write({
  state = 'i', owner = owner, attempt = attempt, token = token, fingerprint = fingerprint,
  lease = now_ms() + lease_ms, lease_ms = lease_ms, steps = steps, size = record and record.size,
  content = abandoned == 1 and ABANDONED or '', waited = record and record.waited,
  scope = ARGV[8] ~= '' and ARGV[8], label = ARGV[9] ~= '' and ARGV[9],
  created = story.created, claimed = record and record.state ~= 's' and now_ms(),
  held = story.held, held_note = story.held_note,
  settled = story.settled, settled_note = story.settled_note,
}, 'PX', lease_ms + ttl_ms)
if KEYS[2] then enter(KEYS[2], KEYS[1], lease_ms, new_for == -2 and 0 or tonumber(ARGV[12])) end
return { 'acquired', attempt, token, abandoned, flat(steps), new_for }
