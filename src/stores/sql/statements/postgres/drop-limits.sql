-- Undoes add-limits.sql.
DROP INDEX {{qualified_alive_index}};
DROP INDEX {{qualified_new_keys_index}};
ALTER TABLE {{table}} DROP COLUMN bucket;
ALTER TABLE {{table}} DROP COLUMN counted_at;
