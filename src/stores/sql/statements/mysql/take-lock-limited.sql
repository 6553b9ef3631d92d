-- In a transaction where callers are limited: takes the named lock of the record and, if the record is
-- new, one of the named locks of its bucket. Looks at the table only when it has the record's, so that
-- what the transaction reads is not older than that.
--
-- :name, :wait_s   the record's lock, and how long to wait for it in seconds
-- :id              the record
-- :bucket          whose claim it is
-- :slot_name       what the names of the bucket's locks begin with
-- :slots           how many there are, or 0
-- :new_keys, :last_kept, :window_ms  as in room.sql
--
-- returns one row:
--   taken       1 with the record's lock
--   is_new      1 for a record that counts as new
--   slot        the number of the bucket's lock; NULL when there is none left
--   leaving_ms  until there is room for a new key, in milliseconds; NULL when there is
WITH RECURSIVE slots (number) AS (
  SELECT 1 UNION ALL SELECT number + 1 FROM slots WHERE number < :slots
)
SELECT known.taken, known.is_new,
  CASE WHEN known.is_new THEN (
    SELECT number FROM slots
    WHERE known.is_new AND number <= :slots
      AND get_lock(concat(:slot_name, number), 0) = 1
    LIMIT 1
  ) END AS slot,
  CASE WHEN known.is_new THEN (
    SELECT recent.counted_at + :window_ms - {{now_ms}} FROM {{table}} AS recent
    WHERE recent.bucket = :bucket AND recent.counted_at > {{now_ms}} - :window_ms
      AND recent.counted_at <= {{now_ms}} AND :new_keys > 0 AND known.is_new
    ORDER BY recent.counted_at DESC LIMIT 1 OFFSET :last_kept
  ) END AS leaving_ms
FROM (
  SELECT record_lock.taken, record_lock.taken = 1 AND NOT EXISTS (
    SELECT 1 FROM {{table}} AS record
    WHERE record.id = :id AND record.state <> 'issued' AND record_lock.taken = 1
      AND (record.expires_at IS NULL OR record.expires_at > {{now_ms}})
  ) AS is_new
  FROM (SELECT get_lock(:name, :wait_s) AS taken LIMIT 1) AS record_lock
  LIMIT 1
) AS known
