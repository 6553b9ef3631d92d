-- Holds the record until someone settles it. A held record never expires.
--
-- :id, :owner, :reason
-- changes one row, or none if the claim is no longer alive
UPDATE {{table}} SET
  state = 'held',
  reason = :reason,
  lease_ends_at = 0,
  expires_at = NULL,
  purge_at = NULL
WHERE id = :id AND owner = :owner
  AND state = 'in-flight' AND lease_ends_at > {{now_ms}}
