-- Writes an issued record.
--
-- KEYS[1]  the record
-- ARGV     retention in ms
-- returns  1, or 0 when there is a record already

if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
write({
  state = 's', owner = '', attempt = 0, token = 0, fingerprint = '', lease = 0, steps = false, content = '',
}, 'PX', ARGV[1])
return 1
