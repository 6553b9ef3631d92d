-- Tells how many bytes a statement may have, with all that is in it.
--
-- returns one row: bytes
SELECT @@max_allowed_packet AS bytes
