-- Saves a finished step for later attempts.
--
-- :id, :owner
-- :step  name and value, framed
-- returns one row, or none if the claim is no longer alive
WITH clock AS (SELECT {{now_ms}} AS ms)
UPDATE {{table}} SET steps = CAST(steps || :step AS BLOB)
WHERE id = :id AND owner = :owner
  AND state = 'in-flight' AND lease_ends_at > (SELECT ms FROM clock)
RETURNING 1 AS changed
