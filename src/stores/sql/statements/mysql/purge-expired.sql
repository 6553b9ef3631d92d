-- Deletes those of the given records that are still expired.
--
-- :ids  a list
-- changes as many rows as were deleted
DELETE FROM {{table}} WHERE id IN (:ids) AND expires_at < {{now_ms}}
