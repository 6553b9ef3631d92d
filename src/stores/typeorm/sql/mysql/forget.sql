-- Deletes a record, unless its lease is alive or it has expired anyway.
--
-- :id
-- changes one row, or none when there was none to delete
DELETE FROM {{table}}
WHERE id = :id
  AND NOT (state = 'in-flight' AND lease_ends_at > {{now_ms}})
  AND (expires_at IS NULL OR expires_at > {{now_ms}})
