-- Adds the story of a record to a table of an earlier release. See create-table.sql.
ALTER TABLE "idempotency_records" ADD COLUMN scope bytea;
ALTER TABLE "idempotency_records" ADD COLUMN label bytea;
ALTER TABLE "idempotency_records" ADD COLUMN created_at bigint;
ALTER TABLE "idempotency_records" ADD COLUMN claimed_at bigint;
ALTER TABLE "idempotency_records" ADD COLUMN held_at bigint;
ALTER TABLE "idempotency_records" ADD COLUMN held_note bytea;
ALTER TABLE "idempotency_records" ADD COLUMN settled_at bigint;
ALTER TABLE "idempotency_records" ADD COLUMN settled_note bytea;
UPDATE "idempotency_records" SET purge_at = 1000000000000000 + fencing_token / 1000 WHERE state = 'held';
