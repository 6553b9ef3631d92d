-- Holds the record until someone settles it. A held record never expires.
--
-- :id, :owner, :reason
-- :note  see `story.ts`
-- changes one row, or none if the claim is no longer alive
UPDATE {{table}} SET
  state = 'held',
  reason = :reason::bytea,
  held_at = {{now_ms}},
  held_note = :note::bytea,
  lease_ends_at = 0,
  expires_at = NULL,
  purge_at = 1000000000000000 + {{now_ms}}
WHERE id = :id::bytea AND owner = :owner::bytea
  AND state = 'in-flight' AND lease_ends_at > {{now_ms}}
