-- Like find.sql, in a transaction: reads what is committed now, not the state when the transaction began to
-- read. Under REPEATABLE READ the two differ for as long as the transaction goes on.
--
-- :id
-- returns one row or none
SELECT state, owner, attempt, fencing_token, fingerprint, steps, reply, reason,
  scope, label, created_at, claimed_at, held_at, held_note, settled_at, settled_note,
  lease_ends_at,
  least(lease_ends_at - {{now_ms}}, lease_ms) AS lease_remaining_ms,
  lease_ends_at - {{now_ms}} > lease_ms AS is_ahead,
  expires_at - {{now_ms}} AS ttl_remaining_ms
FROM {{table}}
WHERE id = :id
FOR UPDATE
