-- Claims a record that was not there, or tells how the one that is there stands. A refused
-- duplicate only reads: the insert sees the row in the index, takes no lock and writes nothing.
--
-- :id, :owner, :fingerprint
-- :lease_ms, :ttl_ms  in milliseconds
-- :above_token               the new fencing token has to exceed it
-- :must_be_issued           1: only a record that is there; else 0
-- :scope, :label            what operators see; NULL without
--
-- where callers are limited also
-- :bucket      whose claim it is
-- :in_flight   how many leases of it may be alive, or 0
-- :new_keys    how many records of it may be new within the window, or 0
-- :window_ms   in milliseconds
-- :slots       in a transaction, how many may run at once, or 0: each takes an advisory lock that ends
--              with it, because the rows of others are not to be seen before they commit
-- :slot_key    the first of these locks is the one after it
-- Nothing is counted for a record that was claimed before.
--
-- returns one row:
--   outcome    'acquired', 'in-flight', 'completed', 'held', 'mismatch', 'unknown', or 'claimable':
--              then take-over.sql may claim it; 'limited' when the bucket has no room (in a
--              transaction this may come after the claim was made, so that all has to be rolled back); 'ahead': in flight since before the clock was set back,
--              then bound-lease.sql comes next
--   amount     when acquired the fencing token, when in flight the milliseconds until the lease ends,
--              when completed those until the record expires
--   content    when completed the reply, when held the reason, with a mismatch the record's fingerprint
-- returns none when there is no record and it had to be issued; else when someone else's claim
-- came between, which the caller finds out by asking again.
WITH
-- limited:
room AS MATERIALIZED (
  SELECT NOT (
    CASE WHEN :in_flight::integer = 0 THEN false ELSE (
      SELECT count(*) FROM (
        SELECT 1 FROM {{table}}
        WHERE bucket = :bucket::bytea AND lease_ends_at > {{now_ms}}
          AND lease_ends_at - {{now_ms}} <= lease_ms
        LIMIT :in_flight::integer
      ) AS alive
    ) >= :in_flight::integer END
    OR CASE WHEN :new_keys::integer = 0 THEN false ELSE (
      SELECT count(*) FROM (
        SELECT 1 FROM {{table}}
        WHERE bucket = :bucket::bytea AND counted_at > {{now_ms}} - :window_ms::bigint
          AND counted_at <= {{now_ms}}
        LIMIT :new_keys::integer
      ) AS recent
    ) >= :new_keys::integer END
  ) AS is_there
),
-- end
claimed AS (
  INSERT INTO {{table}} (
    id, state, owner, attempt, fencing_token, abandoned, fingerprint,
    lease_ends_at, lease_ms, expires_at, purge_at, steps, scope, label, created_at, claimed_at
-- limited:
    , bucket, counted_at
-- end
  )
  SELECT :id::bytea, 'in-flight', :owner::bytea, 1,
    greatest({{now_us}}, :above_token::bigint + 1), false, :fingerprint::bytea,
    {{now_ms}} + :lease_ms::bigint,
    :lease_ms::bigint,
    {{now_ms}} + :lease_ms::bigint + :ttl_ms::bigint,
    {{now_ms}} + :ttl_ms::bigint,
    ''::bytea,
    :scope::bytea, :label::bytea, {{now_ms}}, {{now_ms}}
-- limited:
    , :bucket::bytea, {{now_ms}}
  WHERE CASE
    WHEN :must_be_issued::integer = 1 THEN false
    WHEN EXISTS (SELECT 1 FROM {{table}} WHERE id = :id::bytea) THEN false
    ELSE (SELECT is_there FROM room)
  END
-- unlimited:
  WHERE :must_be_issued::integer = 0
-- end
  ON CONFLICT (id) DO NOTHING
  RETURNING fencing_token
-- limited:
  , :slots::integer = 0 OR (
    SELECT true FROM generate_series(1, :slots::integer) AS slot
    WHERE pg_try_advisory_xact_lock(:slot_key::bigint + slot)
    LIMIT 1
  ) AS has_slot
-- end
)
SELECT
-- limited:
  CASE WHEN has_slot THEN 'acquired' ELSE 'limited' END AS outcome,
-- unlimited:
  'acquired' AS outcome,
-- end
  fencing_token AS amount, NULL::bytea AS content FROM claimed
UNION ALL
SELECT
  CASE
    WHEN expires_at <= {{now_ms}} AND :must_be_issued::integer = 1 THEN 'unknown'
-- limited:
    WHEN expires_at <= {{now_ms}} OR state = 'issued' THEN
      CASE WHEN (SELECT is_there FROM room) THEN 'claimable' ELSE 'limited' END
-- unlimited:
    WHEN expires_at <= {{now_ms}} THEN 'claimable'
-- end
    WHEN fingerprint <> :fingerprint::bytea
      AND octet_length(fingerprint) > 0 AND octet_length(:fingerprint::bytea) > 0
      AND (state <> 'released' OR octet_length(steps) > 0) THEN 'mismatch'
    WHEN state = 'in-flight' AND lease_ends_at <= {{now_ms}} THEN 'claimable'
    WHEN state = 'in-flight' AND lease_ends_at - {{now_ms}} > lease_ms THEN 'ahead'
    WHEN state IN ('issued', 'released') THEN 'claimable'
    ELSE state
  END,
  CASE
    WHEN state = 'completed' THEN expires_at - {{now_ms}}
    ELSE least(lease_ends_at - {{now_ms}}, lease_ms)
  END,
  CASE
    WHEN fingerprint <> :fingerprint::bytea
      AND octet_length(fingerprint) > 0 AND octet_length(:fingerprint::bytea) > 0
      AND (state <> 'released' OR octet_length(steps) > 0) THEN fingerprint
    ELSE coalesce(reply, reason)
  END
FROM {{table}}
WHERE id = :id::bytea
-- limited:
UNION ALL
SELECT 'limited', 0, NULL::bytea
WHERE CASE
  WHEN :must_be_issued::integer = 1 THEN false
  WHEN EXISTS (SELECT 1 FROM {{table}} WHERE id = :id::bytea) THEN false
  ELSE (SELECT NOT is_there FROM room)
END
-- end
