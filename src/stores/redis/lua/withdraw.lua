-- In a Cluster: undoes the first claim of a record, which its bucket has no room for.
--
-- KEYS[1]  the record
-- ARGV     owner, for how many more ms the record may be claimed if it had been issued, or 0
-- returns  1, or 0 if the claim is no longer alive

local record = read()
if not is_owned(record, ARGV[1], 'in-flight') then return 0 end
record.state, record.owner, record.attempt, record.fingerprint = 's', '', 0, ''
record.lease, record.lease_ms, record.steps, record.content = 0, 0, false, ''
-- Without time left, nothing stays.
write(record, 'PX', ARGV[2])
wake(record)
return 1
