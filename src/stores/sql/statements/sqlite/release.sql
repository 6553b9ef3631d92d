-- Releases the claim. Steps stay, and the attempt number if the attempt counts.
--
-- :id, :owner
-- :ttl_ms  in milliseconds
-- :from          the state it is settled from, 'in-flight' or 'held'
-- :note          who settles a held record, and why; see `story.ts`
-- :uncounted     1 for an attempt that does not count, or from 'held', for none that counts; else 0
-- returns one row, or none if the claim is no longer alive
WITH clock AS (SELECT {{now_ms}} AS ms)
UPDATE {{table}} SET
  state = 'released',
  attempt = CASE WHEN :from = 'held' AND :uncounted = 1 THEN 0 ELSE attempt - :uncounted END,
  reason = NULL,
  settled_at = CASE WHEN :from = 'held' THEN {{now_ms}} ELSE settled_at END,
  settled_note = CASE WHEN :from = 'held' THEN :note ELSE settled_note END,
  lease_ends_at = 0,
  expires_at = (SELECT ms FROM clock) + :ttl_ms,
  purge_at = (SELECT ms FROM clock) + :ttl_ms
WHERE id = :id AND owner = :owner
  AND state = :from AND (state = 'held' OR lease_ends_at > (SELECT ms FROM clock))
RETURNING 1 AS changed
