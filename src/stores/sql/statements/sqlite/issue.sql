-- Writes an issued record, in place of an expired one. The fencing token continues to grow.
--
-- :id
-- :ttl_ms  in milliseconds
-- returns one row, or none when there is a record already
WITH clock AS (SELECT {{now_ms}} AS ms)
INSERT INTO {{table}} (
  id, state, owner, attempt, fencing_token, abandoned, fingerprint,
  lease_ends_at, lease_ms, expires_at, purge_at, steps, created_at
)
SELECT :id, 'issued', x'', 0, 0, 0, x'', 0, 0, ms + :ttl_ms, ms + :ttl_ms, x'', ms
FROM clock
WHERE true
ON CONFLICT (id) DO UPDATE SET
  state = excluded.state,
  owner = excluded.owner,
  attempt = excluded.attempt,
  abandoned = excluded.abandoned,
  fingerprint = excluded.fingerprint,
  lease_ends_at = excluded.lease_ends_at,
  expires_at = excluded.expires_at,
  purge_at = excluded.purge_at,
  steps = excluded.steps,
  reply = NULL,
  reason = NULL,
  scope = NULL,
  label = NULL,
  created_at = excluded.created_at,
  claimed_at = NULL,
  held_at = NULL,
  held_note = NULL,
  settled_at = NULL,
  settled_note = NULL
WHERE expires_at <= {{now_ms}}
RETURNING 1 AS changed
