-- Columns and indexes for the limits of callers.
--
--   bucket      a digest of the caller whose claim it was last, where callers are limited
--   counted_at  when the record was new, in milliseconds since 1970
ALTER TABLE "idempotency_records" ADD COLUMN bucket bytea;
ALTER TABLE "idempotency_records" ADD COLUMN counted_at bigint;
CREATE INDEX "idempotency_records_alive" ON "idempotency_records" (bucket, lease_ends_at) WHERE bucket IS NOT NULL;
CREATE INDEX "idempotency_records_new_keys" ON "idempotency_records" (bucket, counted_at) WHERE bucket IS NOT NULL;
