-- Returns why a bucket has no room for a new record. Only asked after a refusal.
--
-- :bucket, :in_flight, :new_keys, :window_ms  as in acquire.sql
-- :last_kept  :new_keys - 1, or 0
-- returns one row:
--   alive       leases that are alive, no more than counted
--   leaving_ms  until there is room for a new key, in milliseconds; NULL when there is
SELECT
  (
    SELECT count(*) FROM (
      SELECT 1 FROM {{table}}
      WHERE bucket = :bucket AND lease_ends_at > {{now_ms}}
        AND lease_ends_at - {{now_ms}} <= lease_ms
      LIMIT :in_flight
    ) AS counted
  ) AS alive,
  (
    SELECT counted_at + :window_ms - {{now_ms}} FROM {{table}}
    WHERE bucket = :bucket AND counted_at > {{now_ms}} - :window_ms
      AND counted_at <= {{now_ms}} AND :new_keys > 0
    ORDER BY counted_at DESC LIMIT 1 OFFSET :last_kept
  ) AS leaving_ms
