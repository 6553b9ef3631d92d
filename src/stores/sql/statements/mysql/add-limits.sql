-- Columns and indexes for the limits of callers.
--
--   bucket      a digest of the caller whose claim it was last, where callers are limited
--   counted_at  when the record was new, in milliseconds since 1970
ALTER TABLE {{table}}
  ADD COLUMN bucket binary(32),
  ADD COLUMN counted_at bigint,
  ADD INDEX {{alive_index}} (bucket, lease_ends_at),
  ADD INDEX {{new_keys_index}} (bucket, counted_at);
