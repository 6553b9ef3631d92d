-- In a Cluster, before a record is held: adds it to the index. An entry whose record is not held is
-- dropped when the index is read.
--
-- KEYS[1]  the index of held records
-- ARGV     the record's id

redis.call('ZADD', KEYS[1], score_of(now_us()), ARGV[1])
return 1
