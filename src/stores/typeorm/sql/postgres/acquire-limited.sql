-- Like acquire.sql, for limited callers: a new record is claimed if its bucket has room.
-- Nothing is counted for a record that was claimed before.
--
-- as acquire.sql, and
-- :bucket      whose claim it is
-- :in_flight   how many leases of it may be alive, or 0
-- :new_keys    how many records of it may be new within the window, or 0
-- :window_ms   in milliseconds
-- :slots       in a transaction, how many may run at once, or 0: each takes an advisory lock that ends
--              with it, because the rows of others are not to be seen before they commit
-- :slot_key    the first of these locks is the one after it
--
-- returns as acquire.sql; also 'limited', and 'claimable' only when the bucket has room. In a transaction
-- 'limited' may come after the claim was made, so that all has to be rolled back.
WITH room AS MATERIALIZED (
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
), claimed AS (
  INSERT INTO {{table}} (
    id, state, owner, attempt, fencing_token, abandoned, fingerprint,
    lease_ends_at, lease_ms, expires_at, purge_at, steps, bucket, counted_at
  )
  SELECT :id::bytea, 'in-flight', :owner::bytea, 1,
    greatest({{now_us}}, :above_token::bigint + 1), false, :fingerprint::bytea,
    {{now_ms}} + :lease_ms::bigint,
    :lease_ms::bigint,
    {{now_ms}} + :lease_ms::bigint + :ttl_ms::bigint,
    {{now_ms}} + :ttl_ms::bigint,
    ''::bytea, :bucket::bytea, {{now_ms}}
  WHERE CASE
    WHEN :must_be_issued::integer = 1 THEN false
    WHEN EXISTS (SELECT 1 FROM {{table}} WHERE id = :id::bytea) THEN false
    ELSE (SELECT is_there FROM room)
  END
  ON CONFLICT (id) DO NOTHING
  RETURNING fencing_token, :slots::integer = 0 OR (
    SELECT true FROM generate_series(1, :slots::integer) AS slot
    WHERE pg_try_advisory_xact_lock(:slot_key::bigint + slot)
    LIMIT 1
  ) AS has_slot
)
SELECT CASE WHEN has_slot THEN 'acquired' ELSE 'limited' END AS outcome,
  fencing_token AS amount, NULL::bytea AS content
FROM claimed
UNION ALL
SELECT
  CASE
    WHEN expires_at <= {{now_ms}} AND :must_be_issued::integer = 1 THEN 'unknown'
    WHEN expires_at <= {{now_ms}} OR state = 'issued' THEN
      CASE WHEN (SELECT is_there FROM room) THEN 'claimable' ELSE 'limited' END
    WHEN fingerprint <> :fingerprint::bytea
      AND octet_length(fingerprint) > 0 AND octet_length(:fingerprint::bytea) > 0
      AND (state <> 'released' OR octet_length(steps) > 0) THEN 'mismatch'
    WHEN state = 'in-flight' AND lease_ends_at <= {{now_ms}} THEN 'claimable'
    WHEN state = 'in-flight' AND lease_ends_at - {{now_ms}} > lease_ms THEN 'ahead'
    WHEN state = 'released' THEN 'claimable'
    ELSE state
  END,
  least(lease_ends_at - {{now_ms}}, lease_ms),
  CASE
    WHEN fingerprint <> :fingerprint::bytea
      AND octet_length(fingerprint) > 0 AND octet_length(:fingerprint::bytea) > 0
      AND (state <> 'released' OR octet_length(steps) > 0) THEN fingerprint
    ELSE coalesce(reply, reason)
  END
FROM {{table}}
WHERE id = :id::bytea
UNION ALL
SELECT 'limited', 0, NULL::bytea
WHERE CASE
  WHEN :must_be_issued::integer = 1 THEN false
  WHEN EXISTS (SELECT 1 FROM {{table}} WHERE id = :id::bytea) THEN false
  ELSE (SELECT NOT is_there FROM room)
END
