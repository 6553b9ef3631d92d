-- Restarts the lease.
--
-- :id, :owner
-- :lease_ms, :ttl_ms  in milliseconds
-- returns one row, or none if the claim is no longer alive
WITH clock AS (SELECT {{now_ms}} AS ms)
UPDATE {{table}} SET
  lease_ends_at = (SELECT ms FROM clock) + :lease_ms,
  lease_ms = :lease_ms,
  expires_at = (SELECT ms FROM clock) + :lease_ms + :ttl_ms
WHERE id = :id AND owner = :owner
  AND state = 'in-flight' AND lease_ends_at > (SELECT ms FROM clock)
RETURNING 1 AS changed
