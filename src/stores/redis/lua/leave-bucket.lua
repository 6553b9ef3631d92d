-- In a Cluster: the claim is over.
--
-- KEYS[1]  the bucket
-- ARGV     the record

leave(KEYS[1], ARGV[1])
return 1
