-- Writes an issued record.
--
-- KEYS[1]  the record
-- ARGV     ttl in ms
-- returns  1, or 0 if there already is a record

local record, last_token = read()
if record then return 0 end
write({
  state = 's', owner = '', attempt = 0, token = last_token, fingerprint = '', lease = 0,
  lease_ms = 0, steps = false, content = '', created = now_ms(),
}, 'PX', ARGV[1])
return 1
