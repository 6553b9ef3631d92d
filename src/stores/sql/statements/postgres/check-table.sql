-- Fails if the table or one of its columns is missing. Returns nothing.
SELECT id, state, owner, attempt, fencing_token, abandoned, fingerprint, lease_ends_at, lease_ms,
       expires_at, purge_at, steps, reply, reason,
       scope, label, created_at, claimed_at, held_at, held_note, settled_at, settled_note
FROM {{table}} WHERE 1 = 0
