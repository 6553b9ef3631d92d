-- Columns and indexes for the limits of callers.
--
--   bucket      a digest of the caller whose claim it was last, where callers are limited
--   counted_at  when the record was new, in milliseconds since 1970
ALTER TABLE {{table}} ADD COLUMN bucket blob;
ALTER TABLE {{table}} ADD COLUMN counted_at bigint;
CREATE INDEX {{alive_index}} ON {{table}} (bucket, lease_ends_at) WHERE bucket IS NOT NULL;
CREATE INDEX {{new_keys_index}} ON {{table}} (bucket, counted_at) WHERE bucket IS NOT NULL;
