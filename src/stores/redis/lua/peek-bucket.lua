-- In a Cluster, where bucket and record are on different nodes: whether a new record may be claimed.
--
-- KEYS[1]  the bucket
-- ARGV     claims that may be alive, keys that may be new; 0 for no limit
-- returns  {}, or {'limited', which limit, ms until there is room}

return refusal_of(KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])) or {}
