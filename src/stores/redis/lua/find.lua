-- Reads a record.
--
-- KEYS[1]  the record
-- returns  {state, owner, attempt, fencing token, fingerprint, ms until the lease ends,
--          ms until it is forgotten or -1, content, steps, scope, label, when it was made, claimed and
--          held, why, when it was settled, by whom}, or an empty list

local record = read()
if not record then return {} end
local found = view(record, redis.call('PTTL', KEYS[1]), true)
found[9] = flat(record.steps)
return found
