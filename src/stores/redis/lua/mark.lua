-- Leaves the mark of a duplicate that has begun to listen.
--
-- KEYS[1]  the record
-- ARGV     how it listens: 'p' on a channel, 's' on a sharded one
-- returns  1, or 0 if the record is not in flight

local record = read()
if not record or record.state ~= 'i' then return 0 end
leave_mark(record, ARGV[1])
return 1
