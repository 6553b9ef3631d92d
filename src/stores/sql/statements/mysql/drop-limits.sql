-- Undoes add-limits.sql.
ALTER TABLE {{table}}
  DROP INDEX {{alive_index}},
  DROP INDEX {{new_keys_index}},
  DROP COLUMN bucket,
  DROP COLUMN counted_at;
