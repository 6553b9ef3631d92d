-- Finds records to purge without locking them, because a lock on the index would block claims beside it.
--
-- :limit  how many at most
-- returns the ids
SELECT id FROM {{table}}
WHERE purge_at < {{now_ms}} AND expires_at < {{now_ms}}
ORDER BY purge_at
LIMIT :limit
