-- Adds the story of a record to a table of an earlier release. See create-table.sql.
ALTER TABLE "idempotency_records" ADD COLUMN scope blob;
ALTER TABLE "idempotency_records" ADD COLUMN label blob;
ALTER TABLE "idempotency_records" ADD COLUMN created_at bigint;
ALTER TABLE "idempotency_records" ADD COLUMN claimed_at bigint;
ALTER TABLE "idempotency_records" ADD COLUMN held_at bigint;
ALTER TABLE "idempotency_records" ADD COLUMN held_note blob;
ALTER TABLE "idempotency_records" ADD COLUMN settled_at bigint;
ALTER TABLE "idempotency_records" ADD COLUMN settled_note blob;
UPDATE "idempotency_records" SET purge_at = 1000000000000000 + fencing_token / 1000 WHERE state = 'held';
