-- Reads some records without their content, in the order of the index for the purge. A held record's
-- purge_at is 10^15 and the time at which it was held, so held records come last, and in their order.
--
-- :after_at, :after_id  the last record of the page before
-- :until_at             records from here on are not read
-- :limit                how many at most
-- returns one row for each record
SELECT id, state, owner, attempt, fencing_token, fingerprint, reason, purge_at,
  scope, label, created_at, claimed_at, held_at, held_note, settled_at, settled_note,
  least(lease_ends_at - {{now_ms}}, lease_ms) AS lease_remaining_ms,
  expires_at - {{now_ms}} AS ttl_remaining_ms
FROM {{table}}
WHERE purge_at >= :after_at::bigint AND purge_at < :until_at::bigint
  AND (purge_at > :after_at::bigint OR id > :after_id::bytea)
ORDER BY purge_at, id
LIMIT :limit::integer
