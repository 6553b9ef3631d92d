-- Empties a record and lets it expire, unless its lease is alive or it has expired anyway. Its row
-- stays for a day, until the purge, to make the fencing token grow: SQLite's clock is too coarse for
-- that, and any clock may be set back.
--
-- :id
-- returns one row, or none when there was none to forget
WITH clock AS (SELECT {{now_ms}} AS ms)
UPDATE {{table}} SET
  state = 'released',
  owner = x'',
  attempt = 0,
  abandoned = 0,
  fingerprint = x'',
  lease_ends_at = 0,
  expires_at = (SELECT ms FROM clock),
  purge_at = (SELECT ms FROM clock) + 86400000,
  steps = x'',
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
  AND NOT (state = 'in-flight' AND lease_ends_at > (SELECT ms FROM clock))
  AND (expires_at IS NULL OR expires_at > (SELECT ms FROM clock))
RETURNING 1 AS changed
