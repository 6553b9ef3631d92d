-- Records the reply. If the same owner repeats it, the first reply is kept.
--
-- KEYS[1]  the record
-- KEYS[2]  as in acquire.lua
-- ARGV     owner, reply, ttl in ms, the state it is settled from, who settles it and why
-- returns  1, or 0 if the claim is no longer alive

local record = read()
if record and record.state == 'c' and record.owner == ARGV[1] then return 1 end
if not is_owned(record, ARGV[1], ARGV[4]) then return 0 end
record.state, record.content, record.lease, record.steps = 'c', ARGV[2], 0, false
if ARGV[4] == 'held' then settled_by(record, ARGV[5]) end
write(record, 'PX', ARGV[3])
wake(record)
if KEYS[2] then leave(KEYS[2], KEYS[1]) end
return 1
