-- Restarts the lease.
--
-- KEYS[1]  the record
-- KEYS[2]  as in acquire.lua
-- ARGV     owner, lease in ms, ttl in ms
-- returns  1, or 0 if the claim is no longer alive

local record = read()
if not is_owned(record, ARGV[1], 'in-flight') then return 0 end
record.lease_ms = tonumber(ARGV[2])
record.lease = now_ms() + record.lease_ms
write(record, 'PX', tonumber(ARGV[2]) + tonumber(ARGV[3]))
if KEYS[2] then enter(KEYS[2], KEYS[1], record.lease_ms, 0) end
return 1
