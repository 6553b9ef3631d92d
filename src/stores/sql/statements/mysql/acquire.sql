-- Claims a record that does not exist. An existing record is not changed.
--
-- :id, :owner, :fingerprint
-- :lease_ms, :ttl_ms  in milliseconds
-- :above_token              the new fencing token has to exceed it
-- :scope, :label            what operators see; NULL without
-- answers with the fencing token as insert id, or 0 if there is a record. Not by the number of
-- affected rows, whose meaning the client's flag FOUND_ROWS changes.
INSERT INTO {{table}} (
  id, state, owner, attempt, fencing_token, abandoned, fingerprint,
  lease_ends_at, lease_ms, expires_at, purge_at, steps, scope, label, created_at, claimed_at
) VALUES (
  :id, 'in-flight', :owner, 1,
  last_insert_id(greatest({{now_us}}, :above_token + 1)), false, :fingerprint,
  {{now_ms}} + :lease_ms,
  :lease_ms,
  {{now_ms}} + :lease_ms + :ttl_ms,
  {{now_ms}} + :ttl_ms,
  '',
  :scope, :label, {{now_ms}}, {{now_ms}}
)
ON DUPLICATE KEY UPDATE fencing_token = last_insert_id(0) + fencing_token
