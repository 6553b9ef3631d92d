-- Releases the claim. Steps stay, and the attempt number if the attempt counts.
--
-- KEYS[1]  the record
-- KEYS[2]  as in acquire.lua
-- ARGV     owner, ttl in ms, the state it is settled from; from 'held', who settles it and why; from
--          'in-flight', '1' for an attempt that does not count; from 'held', then '1' to count anew
-- returns  1, or 0 if the claim is no longer alive

local record = read()
if not is_owned(record, ARGV[1], ARGV[3]) then return 0 end
record.state, record.content, record.lease = 'r', '', 0
if ARGV[3] == 'held' then
  settled_by(record, ARGV[4])
  if ARGV[5] == '1' then record.attempt = 0 end
elseif ARGV[4] == '1' then record.attempt = record.attempt - 1 end
write(record, 'PX', ARGV[2])
wake(record)
if KEYS[2] then leave(KEYS[2], KEYS[1]) end
return 1
