-- Saves a finished step for later attempts.
--
-- :id, :owner
-- :step  name and value, framed
-- changes one row, or none if the claim is no longer alive
UPDATE {{table}} SET steps = concat(steps, :step)
WHERE id = :id AND owner = :owner
  AND state = 'in-flight' AND lease_ends_at > {{now_ms}}
