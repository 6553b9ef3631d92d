-- Writes an issued record, in place of an expired one. The fencing token continues to grow.
--
-- :id
-- :ttl_ms  in milliseconds
-- answers with insert id 1, or 0 if there already is a record; see acquire.sql
--
-- Assignments run from left to right, and the later ones see what the earlier ones wrote: so
-- the one that the condition reads comes last.
INSERT INTO {{table}} (
  id, state, owner, attempt, fencing_token, abandoned, fingerprint,
  lease_ends_at, lease_ms, expires_at, purge_at, steps, created_at
) VALUES (
  :id, 'issued', '', 0, last_insert_id(1) - 1, false, '',
  0, 0, {{now_ms}} + :ttl_ms, {{now_ms}} + :ttl_ms, '', {{now_ms}}
)
ON DUPLICATE KEY UPDATE
  state = if(expires_at <= {{now_ms}}, 'issued', state),
  owner = if(expires_at <= {{now_ms}}, '', owner),
  attempt = if(expires_at <= {{now_ms}}, 0, attempt),
  abandoned = if(expires_at <= {{now_ms}}, false, abandoned),
  fingerprint = if(expires_at <= {{now_ms}}, '', fingerprint),
  lease_ends_at = if(expires_at <= {{now_ms}}, 0, lease_ends_at),
  purge_at = if(expires_at <= {{now_ms}}, {{now_ms}} + :ttl_ms, purge_at),
  steps = if(expires_at <= {{now_ms}}, '', steps),
  reply = if(expires_at <= {{now_ms}}, NULL, reply),
  reason = if(expires_at <= {{now_ms}}, NULL, reason),
  scope = if(expires_at <= {{now_ms}}, NULL, scope),
  label = if(expires_at <= {{now_ms}}, NULL, label),
  created_at = if(expires_at <= {{now_ms}}, {{now_ms}}, created_at),
  claimed_at = if(expires_at <= {{now_ms}}, NULL, claimed_at),
  held_at = if(expires_at <= {{now_ms}}, NULL, held_at),
  held_note = if(expires_at <= {{now_ms}}, NULL, held_note),
  settled_at = if(expires_at <= {{now_ms}}, NULL, settled_at),
  settled_note = if(expires_at <= {{now_ms}}, NULL, settled_note),
  expires_at = if(
    expires_at <= {{now_ms}},
    last_insert_id(1) - 1 + {{now_ms}} + :ttl_ms,
    last_insert_id(0) + expires_at)
