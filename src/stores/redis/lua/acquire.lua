-- Claims a record that is free, released, issued, or whose lease ran out. A client that lost its
-- connection may send the same claim again: it gets the same answer.
--
-- KEYS[1]  the record
-- ARGV     owner, fingerprint, lease in ms, ttl in ms, '1' when it must have been issued,
--          a fencing token that the new one has to exceed
-- returns  {'acquired', attempt, fencing token, 1 when the last owner's lease ran out, steps}
--          {'completed', reply}    {'in-flight', ms until the lease ends}
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
  if record.state == 'c' then return { 'completed', record.content } end
  if record.state == 'h' then return { 'held', record.content } end
  if record.state == 'i' then
    local remaining = lease_remaining(record)
    if remaining > 0 and record.owner == owner then
      local was_abandoned = record.content == ABANDONED and 1 or 0
      return { 'acquired', record.attempt, record.token, was_abandoned, flat(record.steps) }
    end
    if remaining > 0 then return { 'in-flight', remaining } end
    abandoned = 1
  end
  if matches then attempt = record.attempt + 1 end
  if fingerprint == '' then fingerprint = record.fingerprint end
  steps = record.steps
end

-- Microseconds, so that it grows also when nothing is known of the record any more.
local token = math.max(last_token + 1, now_us(), tonumber(ARGV[6]) + 1)
write({
  state = 'i', owner = owner, attempt = attempt, token = token, fingerprint = fingerprint,
  lease = now_ms() + lease_ms, lease_ms = lease_ms, steps = steps, size = record and record.size,
  content = abandoned == 1 and ABANDONED or '',
}, 'PX', lease_ms + ttl_ms)
return { 'acquired', attempt, token, abandoned, flat(steps) }
