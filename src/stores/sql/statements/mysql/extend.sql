-- Restarts the lease.
--
-- :id, :owner
-- :lease_ms, :ttl_ms  in milliseconds
-- changes one row, or none if the claim is no longer alive, or if the lease already ends in that
-- millisecond
UPDATE {{table}} SET
  expires_at = {{now_ms}} + :lease_ms + :ttl_ms,
  lease_ms = :lease_ms,
  lease_ends_at = {{now_ms}} + :lease_ms
WHERE id = :id AND owner = :owner
  AND state = 'in-flight' AND lease_ends_at > {{now_ms}}
