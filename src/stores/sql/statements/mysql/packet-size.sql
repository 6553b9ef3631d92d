-- Returns how many bytes a statement may have, including its values.
--
-- returns one row: bytes
SELECT @@max_allowed_packet AS bytes
