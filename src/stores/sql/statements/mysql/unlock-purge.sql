-- Ends the turn that lock-purge.sql gave to this connection.
--
-- :lock  as it was asked for
DO release_lock(sha1(concat(database(), :lock)))
