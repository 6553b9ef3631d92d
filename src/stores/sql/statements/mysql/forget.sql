-- Empties a record and lets it expire, unless its lease is alive or it has expired anyway. Its row
-- stays for a day, until the purge, to make the fencing token grow although the clock be set back.
--
-- :id
-- changes one row, or none if there was none to forget
UPDATE {{table}} SET
  state = 'released',
  owner = '',
  attempt = 0,
  abandoned = false,
  fingerprint = '',
  lease_ends_at = 0,
  expires_at = {{now_ms}},
  purge_at = {{now_ms}} + 86400000,
  steps = '',
  reply = NULL,
  reason = NULL,
  scope = NULL,
  label = NULL,
  created_at = NULL,
  claimed_at = NULL,
  held_at = NULL,
  held_note = NULL,
  settled_at = NULL,
  settled_note = NULL
WHERE id = :id
  AND NOT (state = 'in-flight' AND lease_ends_at > {{now_ms}})
  AND (expires_at IS NULL OR expires_at > {{now_ms}})
