-- Takes the lock for purging this table. The connection keeps it until unlock-purge.sql or its end.
--
-- :lock  names the table among the locks of the database
-- returns one row: taken, 1 or 0
SELECT get_lock(sha1(concat(database(), :lock)), 0) AS taken
