-- Claims a record that is free, released, issued, or whose lease has expired. A refused duplicate
-- gets the record written over itself, byte for byte, which SQLite notices: no page is written.
--
-- :id, :owner, :fingerprint
-- :lease_ms, :ttl_ms  in milliseconds
-- :above_token             the new fencing token has to exceed it
-- :must_be_issued           1: only a record that is there; else 0
-- :scope, :label            what operators see; NULL without
--
-- where callers are limited also
-- :bucket      whose claim it is
-- :in_flight   how many leases of it may be alive, or 0
-- :new_keys    how many records of it may be new within the window, or 0
-- :window_ms   in milliseconds
--
-- returns one row: the record as it was claimed, or as it stands. None when there is no record
-- and it had to be issued, or there is no room for one.
--
-- `claimed` is told from the row that is written: nobody but this claim has its owner and a token
-- of this millisecond.
WITH clock AS (
  SELECT {{now_ms}} AS ms
), present AS (
  SELECT record.*, clock.ms,
    record.id IS NULL OR record.expires_at <= clock.ms AS is_new,
    length(record.fingerprint) > 0 AND length(:fingerprint) > 0
      AND record.fingerprint <> :fingerprint AS is_other
  FROM clock LEFT JOIN {{table}} AS record ON record.id = :id
)
-- limited:
, room AS (
  SELECT NOT (
    :in_flight > 0 AND (
      SELECT count(*) FROM {{table}}
      WHERE bucket = :bucket AND lease_ends_at > {{now_ms}}
        AND lease_ends_at - {{now_ms}} <= lease_ms
    ) >= :in_flight
    OR :new_keys > 0 AND (
      SELECT count(*) FROM {{table}}
      WHERE bucket = :bucket AND counted_at > {{now_ms}} - :window_ms
        AND counted_at <= {{now_ms}}
    ) >= :new_keys
  ) AS is_there
)
-- end
, decided AS (
  SELECT *,
    CASE
-- limited:
      WHEN is_new THEN :must_be_issued = 0 AND (SELECT is_there FROM room)
      WHEN state = 'issued' THEN (SELECT is_there FROM room)
-- unlimited:
      WHEN is_new THEN :must_be_issued = 0
-- end
      WHEN state = 'released' AND length(steps) = 0 THEN 1
      WHEN is_other THEN 0
      WHEN state = 'in-flight' THEN lease_ends_at <= ms
      ELSE state IN ('issued', 'released')
    END AS is_claimable
  FROM present
)
INSERT INTO {{table}} (
  id, state, owner, attempt, fencing_token, abandoned, fingerprint,
  lease_ends_at, lease_ms, expires_at, purge_at, steps, reply, reason,
  scope, label, created_at, claimed_at, held_at, held_note, settled_at, settled_note
-- limited:
  , bucket, counted_at
-- end
)
SELECT :id,
  CASE WHEN is_claimable THEN 'in-flight' ELSE state END,
  CASE WHEN is_claimable THEN :owner ELSE owner END,
  CASE WHEN NOT is_claimable THEN attempt WHEN is_new OR is_other THEN 1 ELSE attempt + 1 END,
  CASE WHEN is_claimable THEN max(coalesce(fencing_token, 0) + 1, {{now_us}}, :above_token + 1) ELSE fencing_token END,
  CASE WHEN is_claimable THEN NOT is_new AND state = 'in-flight' ELSE abandoned END,
  CASE
    WHEN is_claimable AND (is_new OR length(:fingerprint) > 0) THEN :fingerprint
    ELSE fingerprint
  END,
  CASE WHEN is_claimable THEN ms + :lease_ms ELSE min(lease_ends_at, ms + lease_ms) END,
  CASE WHEN is_claimable THEN :lease_ms ELSE lease_ms END,
  CASE WHEN is_claimable THEN ms + :lease_ms + :ttl_ms ELSE expires_at END,
  ms + :ttl_ms,
  CASE WHEN is_claimable AND is_new THEN x'' ELSE steps END,
  CASE WHEN is_claimable THEN NULL ELSE reply END,
  CASE WHEN is_claimable THEN NULL ELSE reason END,
  CASE WHEN is_claimable THEN :scope ELSE scope END,
  CASE WHEN is_claimable THEN :label ELSE label END,
  CASE WHEN is_claimable AND is_new THEN ms ELSE created_at END,
  CASE WHEN is_claimable THEN ms ELSE claimed_at END,
  CASE WHEN is_claimable AND is_new THEN NULL ELSE held_at END,
  CASE WHEN is_claimable AND is_new THEN NULL ELSE held_note END,
  CASE WHEN is_claimable AND is_new THEN NULL ELSE settled_at END,
  CASE WHEN is_claimable AND is_new THEN NULL ELSE settled_note END
-- limited:
  , CASE WHEN is_claimable THEN :bucket ELSE bucket END
  , CASE WHEN is_claimable AND (is_new OR state = 'issued') THEN ms ELSE counted_at END
-- end
FROM decided
WHERE is_claimable OR id IS NOT NULL
ON CONFLICT (id) DO UPDATE SET
  -- Not `purge_at`: a column with an index would be written even when it stays as it is.
  state = excluded.state,
  owner = excluded.owner,
  attempt = excluded.attempt,
  fencing_token = excluded.fencing_token,
  abandoned = excluded.abandoned,
  fingerprint = excluded.fingerprint,
  lease_ends_at = excluded.lease_ends_at,
  lease_ms = excluded.lease_ms,
  expires_at = excluded.expires_at,
  steps = excluded.steps,
  reply = excluded.reply,
  reason = excluded.reason,
  scope = excluded.scope,
  label = excluded.label,
  created_at = excluded.created_at,
  claimed_at = excluded.claimed_at,
  held_at = excluded.held_at,
  held_note = excluded.held_note,
  settled_at = excluded.settled_at,
  settled_note = excluded.settled_note
-- limited:
  , bucket = excluded.bucket
  , counted_at = excluded.counted_at
-- end
RETURNING
  state = 'in-flight' AND owner = :owner AND fencing_token >= {{now_us}} AS claimed,
  attempt, fencing_token, abandoned, steps, state, fingerprint, reply, reason,
  lease_ends_at - {{now_ms}} AS lease_remaining_ms,
  expires_at - {{now_ms}} AS ttl_remaining_ms
