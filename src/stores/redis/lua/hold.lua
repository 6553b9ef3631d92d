-- Holds the record until someone settles it. A held record never expires.
--
-- KEYS[1]  the record
-- KEYS[2]  as in acquire.lua
-- ARGV     owner, reason
-- returns  1, or 0 if the claim is no longer alive

local record = read()
if record and record.state == 'h' and record.owner == ARGV[1] then return 1 end
if not is_owned(record, ARGV[1], 'in-flight') then return 0 end
record.state, record.content, record.lease = 'h', ARGV[2], 0
write(record)
wake(record)
if KEYS[2] then leave(KEYS[2], KEYS[1]) end
return 1
