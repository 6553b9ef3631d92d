-- Releases the claim. Attempt number and steps stay.
--
-- KEYS[1]  the record
-- KEYS[2]  as in acquire.lua
-- ARGV     owner, ttl in ms, the state it is settled from, who settles it and why
-- returns  1, or 0 if the claim is no longer alive

local record = read()
if not is_owned(record, ARGV[1], ARGV[3]) then return 0 end
record.state, record.content, record.lease = 'r', '', 0
if ARGV[3] == 'held' then settled_by(record, ARGV[4]) end
write(record, 'PX', ARGV[2])
wake(record)
if KEYS[2] then leave(KEYS[2], KEYS[1]) end
return 1
