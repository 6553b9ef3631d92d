-- Deletes a record, unless its lease is alive.
--
-- KEYS[1]  the record
-- returns  1, or 0 when there was none to delete

local record = read()
if not record or is_leased(record) then return 0 end
redis.call('DEL', KEYS[1])
wake()
return 1
