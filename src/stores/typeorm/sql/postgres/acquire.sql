-- Claims a record that was not there, or tells how the one that is there stands. A refused
-- duplicate only reads: the insert sees the row in the index, takes no lock and writes nothing.
--
-- :id, :owner, :fingerprint
-- :lease_ms, :ttl_ms  in milliseconds
-- :above_token               the new fencing token has to exceed it
-- :must_be_issued           1: only a record that is there; else 0
--
-- returns one row:
--   outcome    'acquired', 'in-flight', 'completed', 'held', 'mismatch', 'unknown', or 'claimable':
--              then take-over.sql may claim it; 'ahead': in flight since before the clock was set back,
--              then bound-lease.sql comes next
--   amount     when acquired the fencing token, when in flight the milliseconds until the lease ends
--   content    when completed the reply, when held the reason, with a mismatch the record's fingerprint
-- returns none when there is no record and it had to be issued; else when someone else's claim
-- came between, which the caller finds out by asking again.
WITH claimed AS (
  INSERT INTO {{table}} (
    id, state, owner, attempt, fencing_token, abandoned, fingerprint,
    lease_ends_at, lease_ms, expires_at, purge_at, steps
  )
  SELECT :id::bytea, 'in-flight', :owner::bytea, 1,
    greatest({{now_us}}, :above_token::bigint + 1), false, :fingerprint::bytea,
    {{now_ms}} + :lease_ms::bigint,
    :lease_ms::bigint,
    {{now_ms}} + :lease_ms::bigint + :ttl_ms::bigint,
    {{now_ms}} + :ttl_ms::bigint,
    ''::bytea
  WHERE :must_be_issued::integer = 0
  ON CONFLICT (id) DO NOTHING
  RETURNING fencing_token
)
SELECT 'acquired' AS outcome, fencing_token AS amount, NULL::bytea AS content FROM claimed
UNION ALL
SELECT
  CASE
    WHEN expires_at <= {{now_ms}} AND :must_be_issued::integer = 1 THEN 'unknown'
    WHEN expires_at <= {{now_ms}} THEN 'claimable'
    WHEN fingerprint <> :fingerprint::bytea
      AND octet_length(fingerprint) > 0 AND octet_length(:fingerprint::bytea) > 0
      AND (state <> 'released' OR octet_length(steps) > 0) THEN 'mismatch'
    WHEN state = 'in-flight' AND lease_ends_at <= {{now_ms}} THEN 'claimable'
    WHEN state = 'in-flight' AND lease_ends_at - {{now_ms}} > lease_ms THEN 'ahead'
    WHEN state IN ('issued', 'released') THEN 'claimable'
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
