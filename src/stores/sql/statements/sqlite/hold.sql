-- Holds the record until someone settles it. A held record never expires.
--
-- :id, :owner, :reason
-- :note  see `story.ts`
-- returns one row, or none if the claim is no longer alive
WITH clock AS (SELECT {{now_ms}} AS ms)
UPDATE {{table}} SET
  state = 'held',
  reason = :reason,
  held_at = {{now_ms}},
  held_note = :note,
  lease_ends_at = 0,
  expires_at = NULL,
  purge_at = 1000000000000000 + {{now_ms}}
WHERE id = :id AND owner = :owner
  AND state = 'in-flight' AND lease_ends_at > (SELECT ms FROM clock)
RETURNING 1 AS changed
