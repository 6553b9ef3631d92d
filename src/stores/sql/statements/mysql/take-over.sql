-- Claims a record that is there and free to claim, if it still is what was read.
--
-- :id, :owner, :attempt, :abandoned, :fingerprint, :keeps_steps (1 or 0)
-- :lease_ms, :ttl_ms  in milliseconds
-- :above_token              the new fencing token has to exceed it
-- :scope, :label            what operators see; NULL without
-- :seen_state, :seen_token, :seen_lease  what was read
-- where callers are limited also
-- :bucket  whose claim it is
-- :is_new  1 for a record that counts as new, else 0
-- answers with the fencing token as insert id; changes one row, or none when the record changed
UPDATE {{table}} SET
  state = 'in-flight',
  owner = :owner,
  attempt = :attempt,
  fencing_token = last_insert_id(greatest(fencing_token + 1, {{now_us}}, :above_token + 1)),
  abandoned = :abandoned,
  fingerprint = :fingerprint,
  lease_ends_at = {{now_ms}} + :lease_ms,
  lease_ms = :lease_ms,
  expires_at = {{now_ms}} + :lease_ms + :ttl_ms,
  steps = if(:keeps_steps, steps, ''),
  reply = NULL,
  reason = NULL,
  scope = :scope,
  label = :label,
  created_at = if(:keeps_steps, created_at, {{now_ms}}),
  claimed_at = {{now_ms}},
  held_at = if(:keeps_steps, held_at, NULL),
  held_note = if(:keeps_steps, held_note, NULL),
  settled_at = if(:keeps_steps, settled_at, NULL),
  settled_note = if(:keeps_steps, settled_note, NULL)
-- limited:
  , bucket = :bucket
  , counted_at = if(:is_new, {{now_ms}}, counted_at)
-- end
WHERE id = :id AND state = :seen_state
  AND fencing_token = :seen_token AND lease_ends_at = :seen_lease
