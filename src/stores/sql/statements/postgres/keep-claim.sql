-- Restarts the lease of a claim in its own transaction, where nobody else sees how long it lasts: also
-- one that has run out.
--
-- :id, :owner
-- :lease_ms, :ttl_ms  in milliseconds
-- changes one row, or none if the record is no longer the owner's
UPDATE {{table}} SET
  lease_ends_at = {{now_ms}} + :lease_ms::bigint,
  lease_ms = :lease_ms::bigint,
  expires_at = {{now_ms}} + :lease_ms::bigint + :ttl_ms::bigint
WHERE id = :id::bytea AND owner = :owner::bytea
  AND state = 'in-flight'
