-- Like acquire.sql, for limited callers: a new record is claimed if its bucket has room.
--
-- as acquire.sql, and
-- :bucket      whose claim it is
-- :in_flight   how many leases of it may be alive, or 0
-- :new_keys    how many records of it may be new within the window, or 0
-- :window_ms   in milliseconds
-- answers as acquire.sql; with 0 also when there is no room
--
-- What is counted is locked until the statement ends, because others must not be, so that two claims of
-- one caller may be a deadlock: one of them is repeated.
INSERT INTO {{table}} (
  id, state, owner, attempt, fencing_token, abandoned, fingerprint,
  lease_ends_at, lease_ms, expires_at, purge_at, steps, bucket, counted_at,
  scope, label, created_at, claimed_at
)
SELECT
  :id, 'in-flight', :owner, 1,
  last_insert_id(greatest({{now_us}}, :above_token + 1)), false, :fingerprint,
  {{now_ms}} + :lease_ms,
  :lease_ms,
  {{now_ms}} + :lease_ms + :ttl_ms,
  {{now_ms}} + :ttl_ms,
  '', :bucket, {{now_ms}},
  :scope, :label, {{now_ms}}, {{now_ms}}
FROM (SELECT 1) AS one
WHERE (:in_flight = 0 OR :in_flight > (
    SELECT count(*) FROM {{table}} AS alive
    WHERE alive.bucket = :bucket AND alive.lease_ends_at > {{now_ms}}
      AND alive.lease_ends_at - {{now_ms}} <= alive.lease_ms
  ))
  AND (:new_keys = 0 OR :new_keys > (
    SELECT count(*) FROM {{table}} AS recent
    WHERE recent.bucket = :bucket AND recent.counted_at > {{now_ms}} - :window_ms
      AND recent.counted_at <= {{now_ms}}
  ))
ON DUPLICATE KEY UPDATE fencing_token = last_insert_id(0) + fencing_token
