-- The table of the records, with the index that serves the purge.
--
-- Texts are kept as the bytes of their UTF-8: compared exactly, and free to hold NUL.
--
--   id             sha256 of scope, principal and key
--   lease_ends_at  milliseconds since 1970; 0 unless in flight
--   lease_ms       how long the lease is: what remains of it is never more, though the clock be set back
--   expires_at     milliseconds since 1970; NULL: kept until someone settles it
--   purge_at       from when on the purge looks at the record, not after it expires; left alone
--                  where that is possible, to write a record without its index
--   abandoned      the last claim took over from one that ran out of its lease
--   steps          see `steps.ts`; empty without steps
--   reply, reason  only when completed, only when held
CREATE TABLE {{table}} (
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
  reason blob
);
CREATE INDEX {{index}} ON {{table}} (purge_at);
