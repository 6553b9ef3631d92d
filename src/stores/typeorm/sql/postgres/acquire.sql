-- Claims a record that is free, released, issued, or whose lease ran out. A refused duplicate
-- only reads: it takes no lock and writes nothing.
--
-- :id, :owner, :fingerprint
-- :lease_ms, :retention_ms  in milliseconds
-- :must_be_issued           1: only a record that is there; else 0
--
-- returns one row. `claimed`: the record as it was claimed. Otherwise: the record as it stands.
-- returns none when there is no record and it had to be issued; else when someone else's claim
-- came between, which the caller finds out by asking again. So it does when a record comes back
-- unclaimed that nobody owns.
WITH clock AS (
  SELECT floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS us
), present AS (
  SELECT record.*, clock.us / 1000 AS now_ms,
    CASE
      WHEN record.expires_at <= clock.us / 1000 THEN :must_be_issued::integer = 0
      WHEN record.state = 'released' AND octet_length(record.steps) = 0 THEN true
      WHEN record.fingerprint <> :fingerprint::bytea
        AND octet_length(record.fingerprint) > 0 AND octet_length(:fingerprint::bytea) > 0 THEN false
      WHEN record.state = 'in-flight' THEN record.lease_ends_at <= clock.us / 1000
      ELSE record.state IN ('issued', 'released')
    END AS is_claimable
  FROM {{table}} AS record, clock
  WHERE record.id = :id::bytea
), claimed AS (
  INSERT INTO {{table}} AS record (
    id, state, owner, attempt, fencing_token, abandoned, fingerprint,
    lease_ends_at, expires_at, purge_at, steps
  )
  SELECT :id::bytea, 'in-flight', :owner::bytea, 1, us, false, :fingerprint::bytea,
    us / 1000 + :lease_ms::bigint,
    us / 1000 + :lease_ms::bigint + :retention_ms::bigint,
    us / 1000 + :retention_ms::bigint,
    ''::bytea
  FROM clock
  WHERE NOT EXISTS (SELECT FROM present WHERE NOT is_claimable)
    AND (:must_be_issued::integer = 0 OR EXISTS (SELECT FROM present))
  -- From here on `excluded.fencing_token` is the clock, for the row is locked and may be another
  -- than the one read above.
  ON CONFLICT (id) DO UPDATE SET
    state = 'in-flight',
    owner = excluded.owner,
    attempt = CASE
      WHEN record.expires_at <= excluded.fencing_token / 1000 THEN 1
      WHEN record.fingerprint <> excluded.fingerprint
        AND octet_length(record.fingerprint) > 0 AND octet_length(excluded.fingerprint) > 0 THEN 1
      ELSE record.attempt + 1
    END,
    fencing_token = greatest(record.fencing_token + 1, excluded.fencing_token),
    abandoned = record.state = 'in-flight' AND record.expires_at > excluded.fencing_token / 1000,
    fingerprint = CASE
      WHEN record.expires_at > excluded.fencing_token / 1000
        AND octet_length(excluded.fingerprint) = 0 THEN record.fingerprint
      ELSE excluded.fingerprint
    END,
    lease_ends_at = excluded.lease_ends_at,
    expires_at = excluded.expires_at,
    steps = CASE
      WHEN record.expires_at > excluded.fencing_token / 1000 THEN record.steps
      ELSE excluded.steps
    END,
    reply = NULL,
    reason = NULL
  WHERE CASE
    WHEN record.expires_at <= excluded.fencing_token / 1000 THEN :must_be_issued::integer = 0
    WHEN record.state = 'released' AND octet_length(record.steps) = 0 THEN true
    WHEN record.fingerprint <> excluded.fingerprint
      AND octet_length(record.fingerprint) > 0 AND octet_length(excluded.fingerprint) > 0 THEN false
    WHEN record.state = 'in-flight' THEN record.lease_ends_at <= excluded.fencing_token / 1000
    ELSE record.state IN ('issued', 'released')
  END
  RETURNING attempt, fencing_token, abandoned, steps
)
SELECT true AS claimed, attempt, fencing_token, abandoned, steps,
  NULL AS state, NULL AS fingerprint, NULL AS reply, NULL AS reason,
  NULL::bigint AS lease_remaining_ms, NULL::bigint AS retention_remaining_ms
FROM claimed
UNION ALL
SELECT false, NULL, NULL, NULL, steps, state, fingerprint, reply, reason,
  lease_ends_at - now_ms, expires_at - now_ms
FROM present
WHERE NOT EXISTS (SELECT FROM claimed)
