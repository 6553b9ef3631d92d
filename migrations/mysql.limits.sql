-- Columns and indexes for the limits of callers.
--
--   bucket      a digest of the caller whose claim it was last, where callers are limited
--   counted_at  when the record was new, in milliseconds since 1970
ALTER TABLE `idempotency_records`
  ADD COLUMN bucket binary(32),
  ADD COLUMN counted_at bigint,
  ADD INDEX `idempotency_records_alive` (bucket, lease_ends_at),
  ADD INDEX `idempotency_records_new_keys` (bucket, counted_at);
