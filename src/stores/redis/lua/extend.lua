-- Starts the lease anew.
--
-- KEYS[1]  the record
-- ARGV     owner, lease in ms, ttl in ms
-- returns  1, or 0 when the claim is no longer alive

local record = read()
if not is_owned(record, ARGV[1], 'in-flight') then return 0 end
record.lease_ms = tonumber(ARGV[2])
record.lease = now_ms() + record.lease_ms
write(record, 'PX', tonumber(ARGV[2]) + tonumber(ARGV[3]))
return 1
