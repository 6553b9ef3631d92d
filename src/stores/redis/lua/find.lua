-- Reads a record.
--
-- KEYS[1]  the record
-- returns  {state, owner, attempt, fencing token, fingerprint, ms until the lease ends,
--          ms until it is forgotten or -1, content, steps}, or an empty list

local record = read()
if not record then return {} end
return {
  STATES[record.state], record.owner, record.attempt, record.token, record.fingerprint,
  math.min(record.lease - now_ms(), record.lease_ms), redis.call('PTTL', KEYS[1]), record.content, flat(record.steps),
}
