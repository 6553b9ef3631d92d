-- Deletes those of some records that have still expired when their turn comes.
--
-- :ids  a list
-- changes as many rows as were deleted
DELETE FROM {{table}} WHERE id IN (:ids) AND expires_at < {{now_ms}}
