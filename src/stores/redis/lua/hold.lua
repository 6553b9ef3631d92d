-- Holds the record until someone settles it. A held record never expires.
--
-- KEYS[1]  the record
-- KEYS[2]  the index of held records, where both are on one node
-- KEYS[3]  as KEYS[2] in acquire.lua
-- ARGV     owner, reason, note with the failure, the record's id
-- returns  1, or 0 if the claim is no longer alive

local record = read()
if record and record.state == 'h' and record.owner == ARGV[1] then return 1 end
if not is_owned(record, ARGV[1], 'in-flight') then return 0 end
record.state, record.content, record.lease = 'h', ARGV[2], 0
record.held, record.held_note = now_ms(), ARGV[3]
-- A server without room has it all the same for a record that does not grow.
if not pcall(write, record) then
  record.held_note = false
  write(record)
end
wake(record)
if KEYS[2] then redis.pcall('ZADD', KEYS[2], score_of(now_us()), ARGV[4]) end
if KEYS[3] then leave(KEYS[3], KEYS[1]) end
return 1
