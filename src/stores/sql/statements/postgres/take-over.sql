-- Claims a record that is there and released, issued, expired, or whose lease ran out.
--
-- :id, :owner, :fingerprint
-- :lease_ms, :ttl_ms  in milliseconds
-- :above_token               the new fencing token has to exceed it
-- :must_be_issued           1: not one that has expired; else 0
-- :scope, :label            what operators see; NULL without
-- where callers are limited also
-- :bucket, :slots, :slot_key  as in acquire.sql, which has found out whether there is room
-- returns one row, or none when the record is not free to claim; where callers are limited, `has_room`
-- is false when a new record of a transaction has found no slot
UPDATE {{table}} AS record SET
  state = 'in-flight',
  owner = :owner::bytea,
  attempt = CASE
    WHEN record.expires_at <= clock.us / 1000 THEN 1
    WHEN record.fingerprint <> :fingerprint::bytea
      AND octet_length(record.fingerprint) > 0 AND octet_length(:fingerprint::bytea) > 0 THEN 1
    ELSE record.attempt + 1
  END,
  fencing_token = greatest(record.fencing_token + 1, clock.us, :above_token::bigint + 1),
  abandoned = record.state = 'in-flight' AND record.expires_at > clock.us / 1000,
  fingerprint = CASE
    WHEN record.expires_at > clock.us / 1000 AND octet_length(:fingerprint::bytea) = 0
      THEN record.fingerprint
    ELSE :fingerprint::bytea
  END,
  lease_ends_at = clock.us / 1000 + :lease_ms::bigint,
  lease_ms = :lease_ms::bigint,
  expires_at = clock.us / 1000 + :lease_ms::bigint + :ttl_ms::bigint,
  steps = CASE WHEN record.expires_at > clock.us / 1000 THEN record.steps ELSE ''::bytea END,
  reply = NULL,
  reason = NULL,
  scope = :scope::bytea,
  label = :label::bytea,
  created_at = CASE WHEN record.expires_at > clock.us / 1000 THEN record.created_at ELSE clock.us / 1000 END,
  claimed_at = clock.us / 1000,
  held_at = CASE WHEN record.expires_at > clock.us / 1000 THEN record.held_at END,
  held_note = CASE WHEN record.expires_at > clock.us / 1000 THEN record.held_note END,
  settled_at = CASE WHEN record.expires_at > clock.us / 1000 THEN record.settled_at END,
  settled_note = CASE WHEN record.expires_at > clock.us / 1000 THEN record.settled_note END
-- limited:
  , bucket = :bucket::bytea
  , counted_at = CASE
    WHEN record.expires_at <= clock.us / 1000 OR record.state = 'issued' THEN clock.us / 1000
    ELSE record.counted_at
  END
-- end
FROM (SELECT {{now_us}} AS us) AS clock
WHERE record.id = :id::bytea
  AND CASE
    WHEN record.expires_at <= clock.us / 1000 THEN :must_be_issued::integer = 0
    WHEN record.state = 'released' AND octet_length(record.steps) = 0 THEN true
    WHEN record.fingerprint <> :fingerprint::bytea
      AND octet_length(record.fingerprint) > 0 AND octet_length(:fingerprint::bytea) > 0 THEN false
    WHEN record.state = 'in-flight' THEN record.lease_ends_at <= clock.us / 1000
    ELSE record.state IN ('issued', 'released')
  END
RETURNING record.attempt, record.fencing_token, record.abandoned, record.steps
-- limited:
  , :slots::integer = 0 OR (
    SELECT true FROM generate_series(1, :slots::integer) AS slot
    WHERE pg_try_advisory_xact_lock(:slot_key::bigint + slot)
    LIMIT 1
  ) OR record.counted_at IS DISTINCT FROM record.lease_ends_at - record.lease_ms AS has_room
-- end
