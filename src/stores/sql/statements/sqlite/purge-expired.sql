-- Deletes records whose ttl has passed, the oldest first.
--
-- :limit  how many at most
-- returns one row for each that was deleted
WITH expired AS (
  SELECT id FROM {{table}}
  WHERE purge_at < {{now_ms}} AND expires_at < {{now_ms}}
  ORDER BY purge_at
  LIMIT :limit
)
DELETE FROM {{table}} WHERE id IN (SELECT id FROM expired)
RETURNING 1 AS deleted
