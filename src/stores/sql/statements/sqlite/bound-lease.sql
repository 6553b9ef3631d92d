-- Lets a lease end no later than its own length from now, if the clock was set back since it began.
--
-- :id
-- returns one row, or none when it needs none
UPDATE {{table}} SET lease_ends_at = {{now_ms}} + lease_ms
WHERE id = :id AND state = 'in-flight' AND lease_ends_at - {{now_ms}} > lease_ms
RETURNING 1 AS changed
