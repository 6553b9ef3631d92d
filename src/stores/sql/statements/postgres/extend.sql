-- Restarts the lease.
--
-- :id, :owner
-- :lease_ms, :ttl_ms  in milliseconds
-- changes one row, or none if the claim is no longer alive
UPDATE {{table}} SET
  lease_ends_at = {{now_ms}} + :lease_ms::bigint,
  lease_ms = :lease_ms::bigint,
  expires_at = {{now_ms}} + :lease_ms::bigint + :ttl_ms::bigint
WHERE id = :id::bytea AND owner = :owner::bytea
  AND state = 'in-flight' AND lease_ends_at > {{now_ms}}
