-- Deletes records whose ttl has passed, the oldest first. Nodes take turns: while one is at
-- it, another deletes none. A row that someone is just claiming is left to them.
--
-- :limit  how many at most
-- :lock   names the table among the server's advisory locks
-- changes as many rows as were deleted
DELETE FROM {{table}}
WHERE id = ANY (ARRAY(
  SELECT id FROM {{table}}
  WHERE purge_at < (SELECT {{now_ms}}) AND expires_at < (SELECT {{now_ms}})
    AND (SELECT pg_try_advisory_xact_lock(:lock::bigint))
  ORDER BY purge_at
  LIMIT :limit::integer
  FOR UPDATE SKIP LOCKED
)) AND expires_at < {{now_ms}}
