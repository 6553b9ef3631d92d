-- In a Cluster: counts a claim that was made, or renewed.
--
-- KEYS[1]  the bucket
-- ARGV     the record, lease in ms, for how many ms it counts as new or 0

enter(KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]))
return 1
