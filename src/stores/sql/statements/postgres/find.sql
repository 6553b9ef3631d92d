-- Reads a record, even one that has expired.
--
-- :id
-- returns one row or none
SELECT state, owner, attempt, fencing_token, fingerprint, steps, reply, reason,
  scope, label, created_at, claimed_at, held_at, held_note, settled_at, settled_note,
  least(lease_ends_at - {{now_ms}}, lease_ms) AS lease_remaining_ms,
  expires_at - {{now_ms}} AS ttl_remaining_ms
FROM {{table}}
WHERE id = :id::bytea
