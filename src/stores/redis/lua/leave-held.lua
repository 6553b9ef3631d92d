-- Drops entries of the index whose records are not held.
--
-- KEYS[1]  the index of held records
-- ARGV     how old an entry must be, in ms: a younger one may belong to a record that is just being held;
--          the records' ids

for i = 2, #ARGV do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if score and tonumber(score) <= now_us() - 1000 * tonumber(ARGV[1]) then
    redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
return 1
