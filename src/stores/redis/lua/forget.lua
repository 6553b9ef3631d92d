-- Deletes a record, unless its lease is alive. Its fencing token stays for a while.
--
-- KEYS[1]  the record
-- returns  1, or 0 if there was none to delete

local record = read()
if not record or (record.state == 'i' and lease_remaining(record) > 0) then return 0 end
write({
  state = 'f', owner = '', attempt = 0, token = record.token, fingerprint = '', lease = 0,
  lease_ms = 0, steps = false, content = '', size = record.size,
}, 'PX', FORGOTTEN_MS)
wake(record)
return 1
