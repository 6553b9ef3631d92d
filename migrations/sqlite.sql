-- The table of the records, with the index for the purge.
--
-- Texts are stored as UTF-8 bytes, so that they are compared exactly and may contain NUL.
--
--   id             sha256 of scope, principal and key
--   lease_ends_at  milliseconds since 1970; 0 unless in flight
--   lease_ms       how long the lease is: what remains of it is never more, even if the clock is set back
--   expires_at     milliseconds since 1970; NULL: kept until someone settles it
--   purge_at       when the purge may first look at the record, never after it expires; not changed
--                  if possible, so that a write does not touch its index
--   abandoned      the last claim took over after the previous lease had expired
--   steps          see `steps.ts`; empty without steps
--   reply, reason  only when completed, only when held
--   scope, label   what operators see of the operation; NULL without
--   created_at     when the record was made, in milliseconds since 1970
--   claimed_at     when the last attempt began
--   held_at, held_note        when it was held the last time, with the failure; see `story.ts`
--   settled_at, settled_note  when somebody settled it, who and why
--
-- A held record's purge_at is 10^15 and the time at which it was held, so that the index finds it.
CREATE TABLE "idempotency_records" (
  id blob NOT NULL PRIMARY KEY,
  state varchar(9) NOT NULL,
  owner blob NOT NULL,
  attempt integer NOT NULL,
  fencing_token bigint NOT NULL,
  abandoned boolean NOT NULL,
  fingerprint blob NOT NULL,
  lease_ends_at bigint NOT NULL,
  lease_ms bigint NOT NULL,
  expires_at bigint,
  purge_at bigint,
  steps blob NOT NULL,
  reply blob,
  reason blob,
  scope blob,
  label blob,
  created_at bigint,
  claimed_at bigint,
  held_at bigint,
  held_note blob,
  settled_at bigint,
  settled_note blob
);
CREATE INDEX "idempotency_records_purge_at" ON "idempotency_records" (purge_at);
