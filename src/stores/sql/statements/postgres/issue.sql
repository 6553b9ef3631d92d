-- Writes an issued record, in place of an expired one. The fencing token continues to grow.
--
-- :id
-- :ttl_ms  in milliseconds
-- changes one row, or none when there is a record already
INSERT INTO {{table}} AS record (
  id, state, owner, attempt, fencing_token, abandoned, fingerprint,
  lease_ends_at, lease_ms, expires_at, purge_at, steps, created_at
)
SELECT :id::bytea, 'issued', ''::bytea, 0, 0, false, ''::bytea,
  0, 0, ms + :ttl_ms::bigint, ms + :ttl_ms::bigint, ''::bytea, ms
FROM (SELECT {{now_ms}} AS ms) AS clock
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
WHERE record.expires_at <= {{now_ms}}
