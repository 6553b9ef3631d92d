-- Saves a finished step for later attempts.
--
-- KEYS[1]  the record
-- ARGV     owner, name, value
-- returns  1, or 0 if the claim is no longer alive

local record = read()
if not is_owned(record, ARGV[1], 'in-flight') then return 0 end
record.steps = record.steps or {}
record.steps[ARGV[2]] = ARGV[3]
write(record, 'KEEPTTL')
return 1
