-- Restarts the lease of a claim in its own transaction, where nobody else sees how long it lasts: also
-- one that has run out.
--
-- :id, :owner
-- :lease_ms, :ttl_ms  in milliseconds
-- returns one row, or none if the record is no longer the owner's
WITH clock AS (SELECT {{now_ms}} AS ms)
UPDATE {{table}} SET
  lease_ends_at = (SELECT ms FROM clock) + :lease_ms,
  lease_ms = :lease_ms,
  expires_at = (SELECT ms FROM clock) + :lease_ms + :ttl_ms
WHERE id = :id AND owner = :owner
  AND state = 'in-flight'
RETURNING 1 AS changed
