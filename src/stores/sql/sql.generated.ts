// Made by scripts/embed-scripts.mjs from the files beside it. Do not edit.

export const SQL = {
  mysql: {
    acquireLimited: {
      text: "INSERT INTO {{table}} (\n  id, state, owner, attempt, fencing_token, abandoned, fingerprint,\n  lease_ends_at, lease_ms, expires_at, purge_at, steps, bucket, counted_at,\n  scope, label, created_at, claimed_at\n)\nSELECT\n  ?, 'in-flight', ?, 1,\n  last_insert_id(greatest(timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)), ? + 1)), false, ?,\n  (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?,\n  ?,\n  (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ? + ?,\n  (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?,\n  '', ?, (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000),\n  ?, ?, (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000)\nFROM (SELECT 1) AS one\nWHERE (? = 0 OR ? > (\n    SELECT count(*) FROM {{table}} AS alive\n    WHERE alive.bucket = ? AND alive.lease_ends_at > (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000)\n      AND alive.lease_ends_at - (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) <= alive.lease_ms\n  ))\n  AND (? = 0 OR ? > (\n    SELECT count(*) FROM {{table}} AS recent\n    WHERE recent.bucket = ? AND recent.counted_at > (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) - ?\n      AND recent.counted_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000)\n  ))\nON DUPLICATE KEY UPDATE fencing_token = last_insert_id(0) + fencing_token",
      parameters: ["id","owner","above_token","fingerprint","lease_ms","lease_ms","lease_ms","ttl_ms","ttl_ms","bucket","scope","label","in_flight","in_flight","bucket","new_keys","new_keys","bucket","window_ms"],
    },
    acquire: {
      text: "INSERT INTO {{table}} (\n  id, state, owner, attempt, fencing_token, abandoned, fingerprint,\n  lease_ends_at, lease_ms, expires_at, purge_at, steps, scope, label, created_at, claimed_at\n) VALUES (\n  ?, 'in-flight', ?, 1,\n  last_insert_id(greatest(timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)), ? + 1)), false, ?,\n  (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?,\n  ?,\n  (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ? + ?,\n  (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?,\n  '',\n  ?, ?, (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000)\n)\nON DUPLICATE KEY UPDATE fencing_token = last_insert_id(0) + fencing_token",
      parameters: ["id","owner","above_token","fingerprint","lease_ms","lease_ms","lease_ms","ttl_ms","ttl_ms","scope","label"],
    },
    addLimits: {
      text: "ALTER TABLE {{table}}\n  ADD COLUMN bucket binary(32),\n  ADD COLUMN counted_at bigint,\n  ADD INDEX {{alive_index}} (bucket, lease_ends_at),\n  ADD INDEX {{new_keys_index}} (bucket, counted_at);",
      parameters: [],
    },
    addStory: {
      text: "ALTER TABLE {{table}} ADD COLUMN scope blob;\nALTER TABLE {{table}} ADD COLUMN label blob;\nALTER TABLE {{table}} ADD COLUMN created_at bigint;\nALTER TABLE {{table}} ADD COLUMN claimed_at bigint;\nALTER TABLE {{table}} ADD COLUMN held_at bigint;\nALTER TABLE {{table}} ADD COLUMN held_note blob;\nALTER TABLE {{table}} ADD COLUMN settled_at bigint;\nALTER TABLE {{table}} ADD COLUMN settled_note blob;\nUPDATE {{table}} SET purge_at = 1000000000000000 + fencing_token DIV 1000 WHERE state = 'held';",
      parameters: [],
    },
    boundLease: {
      text: "UPDATE {{table}} SET lease_ends_at = (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + lease_ms\nWHERE id = ? AND state = 'in-flight' AND lease_ends_at - (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) > lease_ms",
      parameters: ["id"],
    },
    checkLimits: {
      text: "SELECT bucket, counted_at FROM {{table}} WHERE 1 = 0",
      parameters: [],
    },
    checkTable: {
      text: "SELECT id, state, owner, attempt, fencing_token, abandoned, fingerprint, lease_ends_at, lease_ms,\n       expires_at, purge_at, steps, reply, reason,\n       scope, label, created_at, claimed_at, held_at, held_note, settled_at, settled_note\nFROM {{table}} WHERE 1 = 0",
      parameters: [],
    },
    complete: {
      text: "UPDATE {{table}} SET\n  state = 'completed',\n  reply = ?,\n  reason = NULL,\n  settled_at = CASE WHEN ? = 'held' THEN (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) ELSE settled_at END,\n  settled_note = CASE WHEN ? = 'held' THEN ? ELSE settled_note END,\n  steps = '',\n  lease_ends_at = 0,\n  expires_at = (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?,\n  purge_at = CASE\n    WHEN purge_at BETWEEN (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ? - 60000 AND (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?\n      THEN purge_at\n    ELSE (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?\n  END\nWHERE id = ? AND owner = ?\n  AND state = ? AND (state = 'held' OR lease_ends_at > (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000))",
      parameters: ["reply","from","from","note","ttl_ms","ttl_ms","ttl_ms","ttl_ms","id","owner","from"],
    },
    createTable: {
      text: "CREATE TABLE {{table}} (\n  id binary(32) NOT NULL PRIMARY KEY,\n  state varchar(9) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,\n  owner blob NOT NULL,\n  attempt integer NOT NULL,\n  fencing_token bigint NOT NULL,\n  abandoned boolean NOT NULL,\n  fingerprint blob NOT NULL,\n  lease_ends_at bigint NOT NULL,\n  lease_ms bigint NOT NULL,\n  expires_at bigint,\n  purge_at bigint,\n  steps longblob NOT NULL,\n  reply longblob,\n  reason longblob,\n  scope blob,\n  label blob,\n  created_at bigint,\n  claimed_at bigint,\n  held_at bigint,\n  held_note blob,\n  settled_at bigint,\n  settled_note blob,\n  INDEX {{index}} (purge_at)\n) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;",
      parameters: [],
    },
    dropLimits: {
      text: "ALTER TABLE {{table}}\n  DROP INDEX {{alive_index}},\n  DROP INDEX {{new_keys_index}},\n  DROP COLUMN bucket,\n  DROP COLUMN counted_at;",
      parameters: [],
    },
    dropStory: {
      text: "UPDATE {{table}} SET purge_at = NULL WHERE state = 'held';\nALTER TABLE {{table}} DROP COLUMN scope;\nALTER TABLE {{table}} DROP COLUMN label;\nALTER TABLE {{table}} DROP COLUMN created_at;\nALTER TABLE {{table}} DROP COLUMN claimed_at;\nALTER TABLE {{table}} DROP COLUMN held_at;\nALTER TABLE {{table}} DROP COLUMN held_note;\nALTER TABLE {{table}} DROP COLUMN settled_at;\nALTER TABLE {{table}} DROP COLUMN settled_note;",
      parameters: [],
    },
    dropTable: {
      text: "DROP TABLE {{table}}",
      parameters: [],
    },
    extend: {
      text: "UPDATE {{table}} SET\n  expires_at = (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ? + ?,\n  lease_ms = ?,\n  lease_ends_at = (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?\nWHERE id = ? AND owner = ?\n  AND state = 'in-flight' AND lease_ends_at > (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000)",
      parameters: ["lease_ms","ttl_ms","lease_ms","lease_ms","id","owner"],
    },
    findForUpdate: {
      text: "SELECT state, owner, attempt, fencing_token, fingerprint, steps, reply, reason,\n  scope, label, created_at, claimed_at, held_at, held_note, settled_at, settled_note,\n  lease_ends_at,\n  least(lease_ends_at - (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), lease_ms) AS lease_remaining_ms,\n  lease_ends_at - (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) > lease_ms AS is_ahead,\n  expires_at - (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) AS ttl_remaining_ms\nFROM {{table}}\nWHERE id = ?\nFOR UPDATE",
      parameters: ["id"],
    },
    find: {
      text: "SELECT state, owner, attempt, fencing_token, fingerprint, steps, reply, reason,\n  scope, label, created_at, claimed_at, held_at, held_note, settled_at, settled_note,\n  lease_ends_at,\n  least(lease_ends_at - (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), lease_ms) AS lease_remaining_ms,\n  lease_ends_at - (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) > lease_ms AS is_ahead,\n  expires_at - (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) AS ttl_remaining_ms\nFROM {{table}}\nWHERE id = ?",
      parameters: ["id"],
    },
    forget: {
      text: "UPDATE {{table}} SET\n  state = 'released',\n  owner = '',\n  attempt = 0,\n  abandoned = false,\n  fingerprint = '',\n  lease_ends_at = 0,\n  expires_at = (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000),\n  purge_at = (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + 86400000,\n  steps = '',\n  reply = NULL,\n  reason = NULL,\n  scope = NULL,\n  label = NULL,\n  created_at = NULL,\n  claimed_at = NULL,\n  held_at = NULL,\n  held_note = NULL,\n  settled_at = NULL,\n  settled_note = NULL\nWHERE id = ?\n  AND NOT (state = 'in-flight' AND lease_ends_at > (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000))\n  AND (expires_at IS NULL OR expires_at > (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000))",
      parameters: ["id"],
    },
    hold: {
      text: "UPDATE {{table}} SET\n  state = 'held',\n  reason = ?,\n  held_at = (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000),\n  held_note = ?,\n  lease_ends_at = 0,\n  expires_at = NULL,\n  purge_at = 1000000000000000 + (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000)\nWHERE id = ? AND owner = ?\n  AND state = 'in-flight' AND lease_ends_at > (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000)",
      parameters: ["reason","note","id","owner"],
    },
    issue: {
      text: "INSERT INTO {{table}} (\n  id, state, owner, attempt, fencing_token, abandoned, fingerprint,\n  lease_ends_at, lease_ms, expires_at, purge_at, steps, created_at\n) VALUES (\n  ?, 'issued', '', 0, last_insert_id(1) - 1, false, '',\n  0, 0, (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?, (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?, '', (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000)\n)\nON DUPLICATE KEY UPDATE\n  state = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), 'issued', state),\n  owner = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), '', owner),\n  attempt = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), 0, attempt),\n  abandoned = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), false, abandoned),\n  fingerprint = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), '', fingerprint),\n  lease_ends_at = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), 0, lease_ends_at),\n  purge_at = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?, purge_at),\n  steps = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), '', steps),\n  reply = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), NULL, reply),\n  reason = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), NULL, reason),\n  scope = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), NULL, scope),\n  label = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), NULL, label),\n  created_at = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), created_at),\n  claimed_at = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), NULL, claimed_at),\n  held_at = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), NULL, held_at),\n  held_note = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), NULL, held_note),\n  settled_at = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), NULL, settled_at),\n  settled_note = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), NULL, settled_note),\n  expires_at = if(\n    expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000),\n    last_insert_id(1) - 1 + (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?,\n    last_insert_id(0) + expires_at)",
      parameters: ["id","ttl_ms","ttl_ms","ttl_ms","ttl_ms"],
    },
    keepClaim: {
      text: "UPDATE {{table}} SET\n  expires_at = (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ? + ?,\n  lease_ms = ?,\n  lease_ends_at = (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?\nWHERE id = ? AND owner = ?\n  AND state = 'in-flight'",
      parameters: ["lease_ms","ttl_ms","lease_ms","lease_ms","id","owner"],
    },
    list: {
      text: "SELECT id, state, owner, attempt, fencing_token, fingerprint, reason, purge_at,\n  scope, label, created_at, claimed_at, held_at, held_note, settled_at, settled_note,\n  least(lease_ends_at - (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), lease_ms) AS lease_remaining_ms,\n  expires_at - (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) AS ttl_remaining_ms\nFROM {{table}}\nWHERE purge_at >= ? AND purge_at < ?\n  AND (purge_at > ? OR id > ?)\nORDER BY purge_at, id\nLIMIT ?",
      parameters: ["after_at","until_at","after_at","after_id","limit"],
    },
    lockPurge: {
      text: "SELECT get_lock(sha1(concat(database(), ?)), 0) AS taken",
      parameters: ["lock"],
    },
    packetSize: {
      text: "SELECT @@max_allowed_packet AS bytes",
      parameters: [],
    },
    purgeCandidates: {
      text: "SELECT id FROM {{table}}\nWHERE purge_at < (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) AND expires_at < (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000)\nORDER BY purge_at\nLIMIT ?",
      parameters: ["limit"],
    },
    purgeExpired: {
      text: "DELETE FROM {{table}} WHERE id IN (?) AND expires_at < (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000)",
      parameters: ["ids"],
    },
    release: {
      text: "UPDATE {{table}} SET\n  state = 'released',\n  attempt = CASE WHEN ? = 'held' AND ? = 1 THEN 0 ELSE attempt - ? END,\n  reason = NULL,\n  settled_at = CASE WHEN ? = 'held' THEN (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) ELSE settled_at END,\n  settled_note = CASE WHEN ? = 'held' THEN ? ELSE settled_note END,\n  lease_ends_at = 0,\n  expires_at = (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?,\n  purge_at = CASE\n    WHEN purge_at BETWEEN (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ? - 60000 AND (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?\n      THEN purge_at\n    ELSE (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?\n  END\nWHERE id = ? AND owner = ?\n  AND state = ? AND (state = 'held' OR lease_ends_at > (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000))",
      parameters: ["from","uncounted","uncounted","from","from","note","ttl_ms","ttl_ms","ttl_ms","ttl_ms","id","owner","from"],
    },
    room: {
      text: "SELECT\n  (\n    SELECT count(*) FROM (\n      SELECT 1 FROM {{table}}\n      WHERE bucket = ? AND lease_ends_at > (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000)\n        AND lease_ends_at - (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) <= lease_ms\n      LIMIT ?\n    ) AS counted\n  ) AS alive,\n  (\n    SELECT counted_at + ? - (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) FROM {{table}}\n    WHERE bucket = ? AND counted_at > (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) - ?\n      AND counted_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) AND ? > 0\n    ORDER BY counted_at DESC LIMIT 1 OFFSET ?\n  ) AS leaving_ms",
      parameters: ["bucket","in_flight","window_ms","bucket","window_ms","new_keys","last_kept"],
    },
    saveStep: {
      text: "UPDATE {{table}} SET steps = concat(steps, ?)\nWHERE id = ? AND owner = ?\n  AND state = 'in-flight' AND lease_ends_at > (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000)",
      parameters: ["step","id","owner"],
    },
    takeLockLimited: {
      text: "WITH RECURSIVE slots (number) AS (\n  SELECT 1 UNION ALL SELECT number + 1 FROM slots WHERE number < ?\n)\nSELECT known.taken, known.is_new,\n  CASE WHEN known.is_new THEN (\n    SELECT number FROM slots\n    WHERE known.is_new AND number <= ?\n      AND get_lock(concat(?, number), 0) = 1\n    LIMIT 1\n  ) END AS slot,\n  CASE WHEN known.is_new THEN (\n    SELECT recent.counted_at + ? - (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) FROM {{table}} AS recent\n    WHERE recent.bucket = ? AND recent.counted_at > (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) - ?\n      AND recent.counted_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) AND ? > 0 AND known.is_new\n    ORDER BY recent.counted_at DESC LIMIT 1 OFFSET ?\n  ) END AS leaving_ms\nFROM (\n  SELECT record_lock.taken, record_lock.taken = 1 AND NOT EXISTS (\n    SELECT 1 FROM {{table}} AS record\n    WHERE record.id = ? AND record.state <> 'issued' AND record_lock.taken = 1\n      AND (record.expires_at IS NULL OR record.expires_at > (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000))\n  ) AS is_new\n  FROM (SELECT get_lock(?, ?) AS taken LIMIT 1) AS record_lock\n  LIMIT 1\n) AS known",
      parameters: ["slots","slots","slot_name","window_ms","bucket","window_ms","new_keys","last_kept","id","name","wait_s"],
    },
    takeOver: {
      text: "UPDATE {{table}} SET\n  state = 'in-flight',\n  owner = ?,\n  attempt = ?,\n  fencing_token = last_insert_id(greatest(fencing_token + 1, timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)), ? + 1)),\n  abandoned = ?,\n  fingerprint = ?,\n  lease_ends_at = (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?,\n  lease_ms = ?,\n  expires_at = (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ? + ?,\n  steps = if(?, steps, ''),\n  reply = NULL,\n  reason = NULL,\n  scope = ?,\n  label = ?,\n  created_at = if(?, created_at, (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000)),\n  claimed_at = (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000),\n  held_at = if(?, held_at, NULL),\n  held_note = if(?, held_note, NULL),\n  settled_at = if(?, settled_at, NULL),\n  settled_note = if(?, settled_note, NULL)\nWHERE id = ? AND state = ?\n  AND fencing_token = ? AND lease_ends_at = ?",
      parameters: ["owner","attempt","above_token","abandoned","fingerprint","lease_ms","lease_ms","lease_ms","ttl_ms","keeps_steps","scope","label","keeps_steps","keeps_steps","keeps_steps","keeps_steps","keeps_steps","id","seen_state","seen_token","seen_lease"],
    },
    takeOverLimited: {
      text: "UPDATE {{table}} SET\n  state = 'in-flight',\n  owner = ?,\n  attempt = ?,\n  fencing_token = last_insert_id(greatest(fencing_token + 1, timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)), ? + 1)),\n  abandoned = ?,\n  fingerprint = ?,\n  lease_ends_at = (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?,\n  lease_ms = ?,\n  expires_at = (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ? + ?,\n  steps = if(?, steps, ''),\n  reply = NULL,\n  reason = NULL,\n  scope = ?,\n  label = ?,\n  created_at = if(?, created_at, (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000)),\n  claimed_at = (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000),\n  held_at = if(?, held_at, NULL),\n  held_note = if(?, held_note, NULL),\n  settled_at = if(?, settled_at, NULL),\n  settled_note = if(?, settled_note, NULL)\n  , bucket = ?\n  , counted_at = if(?, (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), counted_at)\nWHERE id = ? AND state = ?\n  AND fencing_token = ? AND lease_ends_at = ?",
      parameters: ["owner","attempt","above_token","abandoned","fingerprint","lease_ms","lease_ms","lease_ms","ttl_ms","keeps_steps","scope","label","keeps_steps","keeps_steps","keeps_steps","keeps_steps","keeps_steps","bucket","is_new","id","seen_state","seen_token","seen_lease"],
    },
    unlockPurge: {
      text: "DO release_lock(sha1(concat(database(), ?)))",
      parameters: ["lock"],
    },
  },
  postgres: {
    acquire: {
      text: "WITH\nclaimed AS (\n  INSERT INTO {{table}} (\n    id, state, owner, attempt, fencing_token, abandoned, fingerprint,\n    lease_ends_at, lease_ms, expires_at, purge_at, steps, scope, label, created_at, claimed_at\n  )\n  SELECT $1::bytea, 'in-flight', $2::bytea, 1,\n    greatest(round(date_part('epoch', clock_timestamp()) * 1000000)::bigint, $3::bigint + 1), false, $4::bytea,\n    floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $5::bigint,\n    $5::bigint,\n    floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $5::bigint + $6::bigint,\n    floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $6::bigint,\n    ''::bytea,\n    $7::bytea, $8::bytea, floor(date_part('epoch', clock_timestamp()) * 1000)::bigint, floor(date_part('epoch', clock_timestamp()) * 1000)::bigint\n  WHERE $9::integer = 0\n  ON CONFLICT (id) DO NOTHING\n  RETURNING fencing_token\n)\nSELECT\n  'acquired' AS outcome,\n  fencing_token AS amount, NULL::bytea AS content FROM claimed\nUNION ALL\nSELECT\n  CASE\n    WHEN expires_at <= floor(date_part('epoch', clock_timestamp()) * 1000)::bigint AND $9::integer = 1 THEN 'unknown'\n    WHEN expires_at <= floor(date_part('epoch', clock_timestamp()) * 1000)::bigint THEN 'claimable'\n    WHEN fingerprint <> $4::bytea\n      AND octet_length(fingerprint) > 0 AND octet_length($4::bytea) > 0\n      AND (state <> 'released' OR octet_length(steps) > 0) THEN 'mismatch'\n    WHEN state = 'in-flight' AND lease_ends_at <= floor(date_part('epoch', clock_timestamp()) * 1000)::bigint THEN 'claimable'\n    WHEN state = 'in-flight' AND lease_ends_at - floor(date_part('epoch', clock_timestamp()) * 1000)::bigint > lease_ms THEN 'ahead'\n    WHEN state IN ('issued', 'released') THEN 'claimable'\n    ELSE state\n  END,\n  CASE\n    WHEN state = 'completed' THEN expires_at - floor(date_part('epoch', clock_timestamp()) * 1000)::bigint\n    ELSE least(lease_ends_at - floor(date_part('epoch', clock_timestamp()) * 1000)::bigint, lease_ms)\n  END,\n  CASE\n    WHEN fingerprint <> $4::bytea\n      AND octet_length(fingerprint) > 0 AND octet_length($4::bytea) > 0\n      AND (state <> 'released' OR octet_length(steps) > 0) THEN fingerprint\n    ELSE coalesce(reply, reason)\n  END\nFROM {{table}}\nWHERE id = $1::bytea",
      parameters: ["id","owner","above_token","fingerprint","lease_ms","ttl_ms","scope","label","must_be_issued"],
    },
    acquireLimited: {
      text: "WITH\nroom AS MATERIALIZED (\n  SELECT NOT (\n    CASE WHEN $1::integer = 0 THEN false ELSE (\n      SELECT count(*) FROM (\n        SELECT 1 FROM {{table}}\n        WHERE bucket = $2::bytea AND lease_ends_at > floor(date_part('epoch', clock_timestamp()) * 1000)::bigint\n          AND lease_ends_at - floor(date_part('epoch', clock_timestamp()) * 1000)::bigint <= lease_ms\n        LIMIT $1::integer\n      ) AS alive\n    ) >= $1::integer END\n    OR CASE WHEN $3::integer = 0 THEN false ELSE (\n      SELECT count(*) FROM (\n        SELECT 1 FROM {{table}}\n        WHERE bucket = $2::bytea AND counted_at > floor(date_part('epoch', clock_timestamp()) * 1000)::bigint - $4::bigint\n          AND counted_at <= floor(date_part('epoch', clock_timestamp()) * 1000)::bigint\n        LIMIT $3::integer\n      ) AS recent\n    ) >= $3::integer END\n  ) AS is_there\n),\nclaimed AS (\n  INSERT INTO {{table}} (\n    id, state, owner, attempt, fencing_token, abandoned, fingerprint,\n    lease_ends_at, lease_ms, expires_at, purge_at, steps, scope, label, created_at, claimed_at\n    , bucket, counted_at\n  )\n  SELECT $5::bytea, 'in-flight', $6::bytea, 1,\n    greatest(round(date_part('epoch', clock_timestamp()) * 1000000)::bigint, $7::bigint + 1), false, $8::bytea,\n    floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $9::bigint,\n    $9::bigint,\n    floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $9::bigint + $10::bigint,\n    floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $10::bigint,\n    ''::bytea,\n    $11::bytea, $12::bytea, floor(date_part('epoch', clock_timestamp()) * 1000)::bigint, floor(date_part('epoch', clock_timestamp()) * 1000)::bigint\n    , $2::bytea, floor(date_part('epoch', clock_timestamp()) * 1000)::bigint\n  WHERE CASE\n    WHEN $13::integer = 1 THEN false\n    WHEN EXISTS (SELECT 1 FROM {{table}} WHERE id = $5::bytea) THEN false\n    ELSE (SELECT is_there FROM room)\n  END\n  ON CONFLICT (id) DO NOTHING\n  RETURNING fencing_token\n  , $14::integer = 0 OR (\n    SELECT true FROM generate_series(1, $14::integer) AS slot\n    WHERE pg_try_advisory_xact_lock($15::bigint + slot)\n    LIMIT 1\n  ) AS has_slot\n)\nSELECT\n  CASE WHEN has_slot THEN 'acquired' ELSE 'limited' END AS outcome,\n  fencing_token AS amount, NULL::bytea AS content FROM claimed\nUNION ALL\nSELECT\n  CASE\n    WHEN expires_at <= floor(date_part('epoch', clock_timestamp()) * 1000)::bigint AND $13::integer = 1 THEN 'unknown'\n    WHEN expires_at <= floor(date_part('epoch', clock_timestamp()) * 1000)::bigint OR state = 'issued' THEN\n      CASE WHEN (SELECT is_there FROM room) THEN 'claimable' ELSE 'limited' END\n    WHEN fingerprint <> $8::bytea\n      AND octet_length(fingerprint) > 0 AND octet_length($8::bytea) > 0\n      AND (state <> 'released' OR octet_length(steps) > 0) THEN 'mismatch'\n    WHEN state = 'in-flight' AND lease_ends_at <= floor(date_part('epoch', clock_timestamp()) * 1000)::bigint THEN 'claimable'\n    WHEN state = 'in-flight' AND lease_ends_at - floor(date_part('epoch', clock_timestamp()) * 1000)::bigint > lease_ms THEN 'ahead'\n    WHEN state IN ('issued', 'released') THEN 'claimable'\n    ELSE state\n  END,\n  CASE\n    WHEN state = 'completed' THEN expires_at - floor(date_part('epoch', clock_timestamp()) * 1000)::bigint\n    ELSE least(lease_ends_at - floor(date_part('epoch', clock_timestamp()) * 1000)::bigint, lease_ms)\n  END,\n  CASE\n    WHEN fingerprint <> $8::bytea\n      AND octet_length(fingerprint) > 0 AND octet_length($8::bytea) > 0\n      AND (state <> 'released' OR octet_length(steps) > 0) THEN fingerprint\n    ELSE coalesce(reply, reason)\n  END\nFROM {{table}}\nWHERE id = $5::bytea\nUNION ALL\nSELECT 'limited', 0, NULL::bytea\nWHERE CASE\n  WHEN $13::integer = 1 THEN false\n  WHEN EXISTS (SELECT 1 FROM {{table}} WHERE id = $5::bytea) THEN false\n  ELSE (SELECT NOT is_there FROM room)\nEND",
      parameters: ["in_flight","bucket","new_keys","window_ms","id","owner","above_token","fingerprint","lease_ms","ttl_ms","scope","label","must_be_issued","slots","slot_key"],
    },
    addLimits: {
      text: "ALTER TABLE {{table}} ADD COLUMN bucket bytea;\nALTER TABLE {{table}} ADD COLUMN counted_at bigint;\nCREATE INDEX {{alive_index}} ON {{table}} (bucket, lease_ends_at) WHERE bucket IS NOT NULL;\nCREATE INDEX {{new_keys_index}} ON {{table}} (bucket, counted_at) WHERE bucket IS NOT NULL;",
      parameters: [],
    },
    addStory: {
      text: "ALTER TABLE {{table}} ADD COLUMN scope bytea;\nALTER TABLE {{table}} ADD COLUMN label bytea;\nALTER TABLE {{table}} ADD COLUMN created_at bigint;\nALTER TABLE {{table}} ADD COLUMN claimed_at bigint;\nALTER TABLE {{table}} ADD COLUMN held_at bigint;\nALTER TABLE {{table}} ADD COLUMN held_note bytea;\nALTER TABLE {{table}} ADD COLUMN settled_at bigint;\nALTER TABLE {{table}} ADD COLUMN settled_note bytea;\nUPDATE {{table}} SET purge_at = 1000000000000000 + fencing_token / 1000 WHERE state = 'held';",
      parameters: [],
    },
    boundLease: {
      text: "UPDATE {{table}} SET lease_ends_at = floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + lease_ms\nWHERE id = $1::bytea AND state = 'in-flight' AND lease_ends_at - floor(date_part('epoch', clock_timestamp()) * 1000)::bigint > lease_ms",
      parameters: ["id"],
    },
    checkLimits: {
      text: "SELECT bucket, counted_at FROM {{table}} WHERE 1 = 0",
      parameters: [],
    },
    checkTable: {
      text: "SELECT id, state, owner, attempt, fencing_token, abandoned, fingerprint, lease_ends_at, lease_ms,\n       expires_at, purge_at, steps, reply, reason,\n       scope, label, created_at, claimed_at, held_at, held_note, settled_at, settled_note\nFROM {{table}} WHERE 1 = 0",
      parameters: [],
    },
    complete: {
      text: "UPDATE {{table}} SET\n  state = 'completed',\n  reply = $1::bytea,\n  reason = NULL,\n  settled_at = CASE WHEN $2::text = 'held' THEN floor(date_part('epoch', clock_timestamp()) * 1000)::bigint ELSE settled_at END,\n  settled_note = CASE WHEN $2::text = 'held' THEN $3::bytea ELSE settled_note END,\n  steps = ''::bytea,\n  lease_ends_at = 0,\n  expires_at = floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $4::bigint,\n  purge_at = CASE\n    WHEN purge_at BETWEEN floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $4::bigint - 60000\n      AND floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $4::bigint THEN purge_at\n    ELSE floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $4::bigint\n  END\nWHERE id = $5::bytea AND owner = $6::bytea\n  AND state = $2::text AND (state = 'held' OR lease_ends_at > floor(date_part('epoch', clock_timestamp()) * 1000)::bigint)",
      parameters: ["reply","from","note","ttl_ms","id","owner"],
    },
    createTable: {
      text: "CREATE TABLE {{table}} (\n  id bytea PRIMARY KEY,\n  state varchar(9) NOT NULL,\n  owner bytea NOT NULL,\n  attempt integer NOT NULL,\n  fencing_token bigint NOT NULL,\n  abandoned boolean NOT NULL,\n  fingerprint bytea NOT NULL,\n  lease_ends_at bigint NOT NULL,\n  lease_ms bigint NOT NULL,\n  expires_at bigint,\n  purge_at bigint,\n  steps bytea NOT NULL,\n  reply bytea,\n  reason bytea,\n  scope bytea,\n  label bytea,\n  created_at bigint,\n  claimed_at bigint,\n  held_at bigint,\n  held_note bytea,\n  settled_at bigint,\n  settled_note bytea\n) WITH (fillfactor = 80);\nCREATE INDEX {{index}} ON {{table}} (purge_at);",
      parameters: [],
    },
    dropLimits: {
      text: "DROP INDEX {{qualified_alive_index}};\nDROP INDEX {{qualified_new_keys_index}};\nALTER TABLE {{table}} DROP COLUMN bucket;\nALTER TABLE {{table}} DROP COLUMN counted_at;",
      parameters: [],
    },
    dropStory: {
      text: "UPDATE {{table}} SET purge_at = NULL WHERE state = 'held';\nALTER TABLE {{table}} DROP COLUMN scope;\nALTER TABLE {{table}} DROP COLUMN label;\nALTER TABLE {{table}} DROP COLUMN created_at;\nALTER TABLE {{table}} DROP COLUMN claimed_at;\nALTER TABLE {{table}} DROP COLUMN held_at;\nALTER TABLE {{table}} DROP COLUMN held_note;\nALTER TABLE {{table}} DROP COLUMN settled_at;\nALTER TABLE {{table}} DROP COLUMN settled_note;",
      parameters: [],
    },
    dropTable: {
      text: "DROP TABLE {{table}}",
      parameters: [],
    },
    extend: {
      text: "UPDATE {{table}} SET\n  lease_ends_at = floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $1::bigint,\n  lease_ms = $1::bigint,\n  expires_at = floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $1::bigint + $2::bigint\nWHERE id = $3::bytea AND owner = $4::bytea\n  AND state = 'in-flight' AND lease_ends_at > floor(date_part('epoch', clock_timestamp()) * 1000)::bigint",
      parameters: ["lease_ms","ttl_ms","id","owner"],
    },
    find: {
      text: "SELECT state, owner, attempt, fencing_token, fingerprint, steps, reply, reason,\n  scope, label, created_at, claimed_at, held_at, held_note, settled_at, settled_note,\n  least(lease_ends_at - floor(date_part('epoch', clock_timestamp()) * 1000)::bigint, lease_ms) AS lease_remaining_ms,\n  expires_at - floor(date_part('epoch', clock_timestamp()) * 1000)::bigint AS ttl_remaining_ms\nFROM {{table}}\nWHERE id = $1::bytea",
      parameters: ["id"],
    },
    forget: {
      text: "UPDATE {{table}} SET\n  state = 'released',\n  owner = ''::bytea,\n  attempt = 0,\n  abandoned = false,\n  fingerprint = ''::bytea,\n  lease_ends_at = 0,\n  expires_at = floor(date_part('epoch', clock_timestamp()) * 1000)::bigint,\n  purge_at = floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + 86400000,\n  steps = ''::bytea,\n  reply = NULL,\n  reason = NULL,\n  scope = NULL,\n  label = NULL,\n  created_at = NULL,\n  claimed_at = NULL,\n  held_at = NULL,\n  held_note = NULL,\n  settled_at = NULL,\n  settled_note = NULL\nWHERE id = $1::bytea\n  AND NOT (state = 'in-flight' AND lease_ends_at > floor(date_part('epoch', clock_timestamp()) * 1000)::bigint)\n  AND (expires_at IS NULL OR expires_at > floor(date_part('epoch', clock_timestamp()) * 1000)::bigint)",
      parameters: ["id"],
    },
    hold: {
      text: "UPDATE {{table}} SET\n  state = 'held',\n  reason = $1::bytea,\n  held_at = floor(date_part('epoch', clock_timestamp()) * 1000)::bigint,\n  held_note = $2::bytea,\n  lease_ends_at = 0,\n  expires_at = NULL,\n  purge_at = 1000000000000000 + floor(date_part('epoch', clock_timestamp()) * 1000)::bigint\nWHERE id = $3::bytea AND owner = $4::bytea\n  AND state = 'in-flight' AND lease_ends_at > floor(date_part('epoch', clock_timestamp()) * 1000)::bigint",
      parameters: ["reason","note","id","owner"],
    },
    issue: {
      text: "INSERT INTO {{table}} AS record (\n  id, state, owner, attempt, fencing_token, abandoned, fingerprint,\n  lease_ends_at, lease_ms, expires_at, purge_at, steps, created_at\n)\nSELECT $1::bytea, 'issued', ''::bytea, 0, 0, false, ''::bytea,\n  0, 0, ms + $2::bigint, ms + $2::bigint, ''::bytea, ms\nFROM (SELECT floor(date_part('epoch', clock_timestamp()) * 1000)::bigint AS ms) AS clock\nON CONFLICT (id) DO UPDATE SET\n  state = excluded.state,\n  owner = excluded.owner,\n  attempt = excluded.attempt,\n  abandoned = excluded.abandoned,\n  fingerprint = excluded.fingerprint,\n  lease_ends_at = excluded.lease_ends_at,\n  expires_at = excluded.expires_at,\n  purge_at = excluded.purge_at,\n  steps = excluded.steps,\n  reply = NULL,\n  reason = NULL,\n  scope = NULL,\n  label = NULL,\n  created_at = excluded.created_at,\n  claimed_at = NULL,\n  held_at = NULL,\n  held_note = NULL,\n  settled_at = NULL,\n  settled_note = NULL\nWHERE record.expires_at <= floor(date_part('epoch', clock_timestamp()) * 1000)::bigint",
      parameters: ["id","ttl_ms"],
    },
    keepClaim: {
      text: "UPDATE {{table}} SET\n  lease_ends_at = floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $1::bigint,\n  lease_ms = $1::bigint,\n  expires_at = floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $1::bigint + $2::bigint\nWHERE id = $3::bytea AND owner = $4::bytea\n  AND state = 'in-flight'",
      parameters: ["lease_ms","ttl_ms","id","owner"],
    },
    list: {
      text: "SELECT id, state, owner, attempt, fencing_token, fingerprint, reason, purge_at,\n  scope, label, created_at, claimed_at, held_at, held_note, settled_at, settled_note,\n  least(lease_ends_at - floor(date_part('epoch', clock_timestamp()) * 1000)::bigint, lease_ms) AS lease_remaining_ms,\n  expires_at - floor(date_part('epoch', clock_timestamp()) * 1000)::bigint AS ttl_remaining_ms\nFROM {{table}}\nWHERE purge_at >= $1::bigint AND purge_at < $2::bigint\n  AND (purge_at > $1::bigint OR id > $3::bytea)\nORDER BY purge_at, id\nLIMIT $4::integer",
      parameters: ["after_at","until_at","after_id","limit"],
    },
    purgeExpired: {
      text: "DELETE FROM {{table}}\nWHERE id = ANY (ARRAY(\n  SELECT id FROM {{table}}\n  WHERE purge_at < (SELECT floor(date_part('epoch', clock_timestamp()) * 1000)::bigint) AND expires_at < (SELECT floor(date_part('epoch', clock_timestamp()) * 1000)::bigint)\n    AND (SELECT pg_try_advisory_xact_lock($1::bigint))\n  ORDER BY purge_at\n  LIMIT $2::integer\n  FOR UPDATE SKIP LOCKED\n)) AND expires_at < floor(date_part('epoch', clock_timestamp()) * 1000)::bigint",
      parameters: ["lock","limit"],
    },
    release: {
      text: "UPDATE {{table}} SET\n  state = 'released',\n  attempt = CASE WHEN $1 = 'held' AND $2::integer = 1 THEN 0 ELSE attempt - $2::integer END,\n  reason = NULL,\n  settled_at = CASE WHEN $1::text = 'held' THEN floor(date_part('epoch', clock_timestamp()) * 1000)::bigint ELSE settled_at END,\n  settled_note = CASE WHEN $1::text = 'held' THEN $3::bytea ELSE settled_note END,\n  lease_ends_at = 0,\n  expires_at = floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $4::bigint,\n  purge_at = CASE\n    WHEN purge_at BETWEEN floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $4::bigint - 60000\n      AND floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $4::bigint THEN purge_at\n    ELSE floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $4::bigint\n  END\nWHERE id = $5::bytea AND owner = $6::bytea\n  AND state = $1::text AND (state = 'held' OR lease_ends_at > floor(date_part('epoch', clock_timestamp()) * 1000)::bigint)",
      parameters: ["from","uncounted","note","ttl_ms","id","owner"],
    },
    room: {
      text: "SELECT\n  (\n    SELECT count(*) FROM (\n      SELECT 1 FROM {{table}}\n      WHERE bucket = $1::bytea AND lease_ends_at > floor(date_part('epoch', clock_timestamp()) * 1000)::bigint\n        AND lease_ends_at - floor(date_part('epoch', clock_timestamp()) * 1000)::bigint <= lease_ms\n      LIMIT $2::integer\n    ) AS counted\n  ) AS alive,\n  (\n    SELECT counted_at + $3::bigint - floor(date_part('epoch', clock_timestamp()) * 1000)::bigint FROM {{table}}\n    WHERE bucket = $1::bytea AND counted_at > floor(date_part('epoch', clock_timestamp()) * 1000)::bigint - $3::bigint\n      AND counted_at <= floor(date_part('epoch', clock_timestamp()) * 1000)::bigint AND $4::integer > 0\n    ORDER BY counted_at DESC LIMIT 1 OFFSET $5::integer\n  ) AS leaving_ms",
      parameters: ["bucket","in_flight","window_ms","new_keys","last_kept"],
    },
    saveStep: {
      text: "UPDATE {{table}} SET steps = steps || $1::bytea\nWHERE id = $2::bytea AND owner = $3::bytea\n  AND state = 'in-flight' AND lease_ends_at > floor(date_part('epoch', clock_timestamp()) * 1000)::bigint",
      parameters: ["step","id","owner"],
    },
    takeOver: {
      text: "UPDATE {{table}} AS record SET\n  state = 'in-flight',\n  owner = $1::bytea,\n  attempt = CASE\n    WHEN record.expires_at <= clock.us / 1000 THEN 1\n    WHEN record.fingerprint <> $2::bytea\n      AND octet_length(record.fingerprint) > 0 AND octet_length($2::bytea) > 0 THEN 1\n    ELSE record.attempt + 1\n  END,\n  fencing_token = greatest(record.fencing_token + 1, clock.us, $3::bigint + 1),\n  abandoned = record.state = 'in-flight' AND record.expires_at > clock.us / 1000,\n  fingerprint = CASE\n    WHEN record.expires_at > clock.us / 1000 AND octet_length($2::bytea) = 0\n      THEN record.fingerprint\n    ELSE $2::bytea\n  END,\n  lease_ends_at = clock.us / 1000 + $4::bigint,\n  lease_ms = $4::bigint,\n  expires_at = clock.us / 1000 + $4::bigint + $5::bigint,\n  steps = CASE WHEN record.expires_at > clock.us / 1000 THEN record.steps ELSE ''::bytea END,\n  reply = NULL,\n  reason = NULL,\n  scope = $6::bytea,\n  label = $7::bytea,\n  created_at = CASE WHEN record.expires_at > clock.us / 1000 THEN record.created_at ELSE clock.us / 1000 END,\n  claimed_at = clock.us / 1000,\n  held_at = CASE WHEN record.expires_at > clock.us / 1000 THEN record.held_at END,\n  held_note = CASE WHEN record.expires_at > clock.us / 1000 THEN record.held_note END,\n  settled_at = CASE WHEN record.expires_at > clock.us / 1000 THEN record.settled_at END,\n  settled_note = CASE WHEN record.expires_at > clock.us / 1000 THEN record.settled_note END\nFROM (SELECT round(date_part('epoch', clock_timestamp()) * 1000000)::bigint AS us) AS clock\nWHERE record.id = $8::bytea\n  AND CASE\n    WHEN record.expires_at <= clock.us / 1000 THEN $9::integer = 0\n    WHEN record.state = 'released' AND octet_length(record.steps) = 0 THEN true\n    WHEN record.fingerprint <> $2::bytea\n      AND octet_length(record.fingerprint) > 0 AND octet_length($2::bytea) > 0 THEN false\n    WHEN record.state = 'in-flight' THEN record.lease_ends_at <= clock.us / 1000\n    ELSE record.state IN ('issued', 'released')\n  END\nRETURNING record.attempt, record.fencing_token, record.abandoned, record.steps",
      parameters: ["owner","fingerprint","above_token","lease_ms","ttl_ms","scope","label","id","must_be_issued"],
    },
    takeOverLimited: {
      text: "UPDATE {{table}} AS record SET\n  state = 'in-flight',\n  owner = $1::bytea,\n  attempt = CASE\n    WHEN record.expires_at <= clock.us / 1000 THEN 1\n    WHEN record.fingerprint <> $2::bytea\n      AND octet_length(record.fingerprint) > 0 AND octet_length($2::bytea) > 0 THEN 1\n    ELSE record.attempt + 1\n  END,\n  fencing_token = greatest(record.fencing_token + 1, clock.us, $3::bigint + 1),\n  abandoned = record.state = 'in-flight' AND record.expires_at > clock.us / 1000,\n  fingerprint = CASE\n    WHEN record.expires_at > clock.us / 1000 AND octet_length($2::bytea) = 0\n      THEN record.fingerprint\n    ELSE $2::bytea\n  END,\n  lease_ends_at = clock.us / 1000 + $4::bigint,\n  lease_ms = $4::bigint,\n  expires_at = clock.us / 1000 + $4::bigint + $5::bigint,\n  steps = CASE WHEN record.expires_at > clock.us / 1000 THEN record.steps ELSE ''::bytea END,\n  reply = NULL,\n  reason = NULL,\n  scope = $6::bytea,\n  label = $7::bytea,\n  created_at = CASE WHEN record.expires_at > clock.us / 1000 THEN record.created_at ELSE clock.us / 1000 END,\n  claimed_at = clock.us / 1000,\n  held_at = CASE WHEN record.expires_at > clock.us / 1000 THEN record.held_at END,\n  held_note = CASE WHEN record.expires_at > clock.us / 1000 THEN record.held_note END,\n  settled_at = CASE WHEN record.expires_at > clock.us / 1000 THEN record.settled_at END,\n  settled_note = CASE WHEN record.expires_at > clock.us / 1000 THEN record.settled_note END\n  , bucket = $8::bytea\n  , counted_at = CASE\n    WHEN record.expires_at <= clock.us / 1000 OR record.state = 'issued' THEN clock.us / 1000\n    ELSE record.counted_at\n  END\nFROM (SELECT round(date_part('epoch', clock_timestamp()) * 1000000)::bigint AS us) AS clock\nWHERE record.id = $9::bytea\n  AND CASE\n    WHEN record.expires_at <= clock.us / 1000 THEN $10::integer = 0\n    WHEN record.state = 'released' AND octet_length(record.steps) = 0 THEN true\n    WHEN record.fingerprint <> $2::bytea\n      AND octet_length(record.fingerprint) > 0 AND octet_length($2::bytea) > 0 THEN false\n    WHEN record.state = 'in-flight' THEN record.lease_ends_at <= clock.us / 1000\n    ELSE record.state IN ('issued', 'released')\n  END\nRETURNING record.attempt, record.fencing_token, record.abandoned, record.steps\n  , $11::integer = 0 OR (\n    SELECT true FROM generate_series(1, $11::integer) AS slot\n    WHERE pg_try_advisory_xact_lock($12::bigint + slot)\n    LIMIT 1\n  ) OR record.counted_at IS DISTINCT FROM record.lease_ends_at - record.lease_ms AS has_room",
      parameters: ["owner","fingerprint","above_token","lease_ms","ttl_ms","scope","label","bucket","id","must_be_issued","slots","slot_key"],
    },
  },
  sqlite: {
    acquire: {
      text: "WITH clock AS (\n  SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS ms\n), present AS (\n  SELECT record.*, clock.ms,\n    record.id IS NULL OR record.expires_at <= clock.ms AS is_new,\n    length(record.fingerprint) > 0 AND length(?) > 0\n      AND record.fingerprint <> ? AS is_other\n  FROM clock LEFT JOIN {{table}} AS record ON record.id = ?\n)\n, decided AS (\n  SELECT *,\n    CASE\n      WHEN is_new THEN ? = 0\n      WHEN state = 'released' AND length(steps) = 0 THEN 1\n      WHEN is_other THEN 0\n      WHEN state = 'in-flight' THEN lease_ends_at <= ms\n      ELSE state IN ('issued', 'released')\n    END AS is_claimable\n  FROM present\n)\nINSERT INTO {{table}} (\n  id, state, owner, attempt, fencing_token, abandoned, fingerprint,\n  lease_ends_at, lease_ms, expires_at, purge_at, steps, reply, reason,\n  scope, label, created_at, claimed_at, held_at, held_note, settled_at, settled_note\n)\nSELECT ?,\n  CASE WHEN is_claimable THEN 'in-flight' ELSE state END,\n  CASE WHEN is_claimable THEN ? ELSE owner END,\n  CASE WHEN NOT is_claimable THEN attempt WHEN is_new OR is_other THEN 1 ELSE attempt + 1 END,\n  CASE WHEN is_claimable THEN max(coalesce(fencing_token, 0) + 1, CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000, ? + 1) ELSE fencing_token END,\n  CASE WHEN is_claimable THEN NOT is_new AND state = 'in-flight' ELSE abandoned END,\n  CASE\n    WHEN is_claimable AND (is_new OR length(?) > 0) THEN ?\n    ELSE fingerprint\n  END,\n  CASE WHEN is_claimable THEN ms + ? ELSE min(lease_ends_at, ms + lease_ms) END,\n  CASE WHEN is_claimable THEN ? ELSE lease_ms END,\n  CASE WHEN is_claimable THEN ms + ? + ? ELSE expires_at END,\n  ms + ?,\n  CASE WHEN is_claimable AND is_new THEN x'' ELSE steps END,\n  CASE WHEN is_claimable THEN NULL ELSE reply END,\n  CASE WHEN is_claimable THEN NULL ELSE reason END,\n  CASE WHEN is_claimable THEN ? ELSE scope END,\n  CASE WHEN is_claimable THEN ? ELSE label END,\n  CASE WHEN is_claimable AND is_new THEN ms ELSE created_at END,\n  CASE WHEN is_claimable THEN ms ELSE claimed_at END,\n  CASE WHEN is_claimable AND is_new THEN NULL ELSE held_at END,\n  CASE WHEN is_claimable AND is_new THEN NULL ELSE held_note END,\n  CASE WHEN is_claimable AND is_new THEN NULL ELSE settled_at END,\n  CASE WHEN is_claimable AND is_new THEN NULL ELSE settled_note END\nFROM decided\nWHERE is_claimable OR id IS NOT NULL\nON CONFLICT (id) DO UPDATE SET\n  state = excluded.state,\n  owner = excluded.owner,\n  attempt = excluded.attempt,\n  fencing_token = excluded.fencing_token,\n  abandoned = excluded.abandoned,\n  fingerprint = excluded.fingerprint,\n  lease_ends_at = excluded.lease_ends_at,\n  lease_ms = excluded.lease_ms,\n  expires_at = excluded.expires_at,\n  steps = excluded.steps,\n  reply = excluded.reply,\n  reason = excluded.reason,\n  scope = excluded.scope,\n  label = excluded.label,\n  created_at = excluded.created_at,\n  claimed_at = excluded.claimed_at,\n  held_at = excluded.held_at,\n  held_note = excluded.held_note,\n  settled_at = excluded.settled_at,\n  settled_note = excluded.settled_note\nRETURNING\n  state = 'in-flight' AND owner = ? AND fencing_token >= CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000 AS claimed,\n  attempt, fencing_token, abandoned, steps, state, fingerprint, reply, reason,\n  lease_ends_at - CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS lease_remaining_ms,\n  expires_at - CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS ttl_remaining_ms",
      parameters: ["fingerprint","fingerprint","id","must_be_issued","id","owner","above_token","fingerprint","fingerprint","lease_ms","lease_ms","lease_ms","ttl_ms","ttl_ms","scope","label","owner"],
    },
    acquireLimited: {
      text: "WITH clock AS (\n  SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS ms\n), present AS (\n  SELECT record.*, clock.ms,\n    record.id IS NULL OR record.expires_at <= clock.ms AS is_new,\n    length(record.fingerprint) > 0 AND length(?) > 0\n      AND record.fingerprint <> ? AS is_other\n  FROM clock LEFT JOIN {{table}} AS record ON record.id = ?\n)\n, room AS (\n  SELECT NOT (\n    ? > 0 AND (\n      SELECT count(*) FROM {{table}}\n      WHERE bucket = ? AND lease_ends_at > CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)\n        AND lease_ends_at - CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) <= lease_ms\n    ) >= ?\n    OR ? > 0 AND (\n      SELECT count(*) FROM {{table}}\n      WHERE bucket = ? AND counted_at > CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) - ?\n        AND counted_at <= CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)\n    ) >= ?\n  ) AS is_there\n)\n, decided AS (\n  SELECT *,\n    CASE\n      WHEN is_new THEN ? = 0 AND (SELECT is_there FROM room)\n      WHEN state = 'issued' THEN (SELECT is_there FROM room)\n      WHEN state = 'released' AND length(steps) = 0 THEN 1\n      WHEN is_other THEN 0\n      WHEN state = 'in-flight' THEN lease_ends_at <= ms\n      ELSE state IN ('issued', 'released')\n    END AS is_claimable\n  FROM present\n)\nINSERT INTO {{table}} (\n  id, state, owner, attempt, fencing_token, abandoned, fingerprint,\n  lease_ends_at, lease_ms, expires_at, purge_at, steps, reply, reason,\n  scope, label, created_at, claimed_at, held_at, held_note, settled_at, settled_note\n  , bucket, counted_at\n)\nSELECT ?,\n  CASE WHEN is_claimable THEN 'in-flight' ELSE state END,\n  CASE WHEN is_claimable THEN ? ELSE owner END,\n  CASE WHEN NOT is_claimable THEN attempt WHEN is_new OR is_other THEN 1 ELSE attempt + 1 END,\n  CASE WHEN is_claimable THEN max(coalesce(fencing_token, 0) + 1, CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000, ? + 1) ELSE fencing_token END,\n  CASE WHEN is_claimable THEN NOT is_new AND state = 'in-flight' ELSE abandoned END,\n  CASE\n    WHEN is_claimable AND (is_new OR length(?) > 0) THEN ?\n    ELSE fingerprint\n  END,\n  CASE WHEN is_claimable THEN ms + ? ELSE min(lease_ends_at, ms + lease_ms) END,\n  CASE WHEN is_claimable THEN ? ELSE lease_ms END,\n  CASE WHEN is_claimable THEN ms + ? + ? ELSE expires_at END,\n  ms + ?,\n  CASE WHEN is_claimable AND is_new THEN x'' ELSE steps END,\n  CASE WHEN is_claimable THEN NULL ELSE reply END,\n  CASE WHEN is_claimable THEN NULL ELSE reason END,\n  CASE WHEN is_claimable THEN ? ELSE scope END,\n  CASE WHEN is_claimable THEN ? ELSE label END,\n  CASE WHEN is_claimable AND is_new THEN ms ELSE created_at END,\n  CASE WHEN is_claimable THEN ms ELSE claimed_at END,\n  CASE WHEN is_claimable AND is_new THEN NULL ELSE held_at END,\n  CASE WHEN is_claimable AND is_new THEN NULL ELSE held_note END,\n  CASE WHEN is_claimable AND is_new THEN NULL ELSE settled_at END,\n  CASE WHEN is_claimable AND is_new THEN NULL ELSE settled_note END\n  , CASE WHEN is_claimable THEN ? ELSE bucket END\n  , CASE WHEN is_claimable AND (is_new OR state = 'issued') THEN ms ELSE counted_at END\nFROM decided\nWHERE is_claimable OR id IS NOT NULL\nON CONFLICT (id) DO UPDATE SET\n  state = excluded.state,\n  owner = excluded.owner,\n  attempt = excluded.attempt,\n  fencing_token = excluded.fencing_token,\n  abandoned = excluded.abandoned,\n  fingerprint = excluded.fingerprint,\n  lease_ends_at = excluded.lease_ends_at,\n  lease_ms = excluded.lease_ms,\n  expires_at = excluded.expires_at,\n  steps = excluded.steps,\n  reply = excluded.reply,\n  reason = excluded.reason,\n  scope = excluded.scope,\n  label = excluded.label,\n  created_at = excluded.created_at,\n  claimed_at = excluded.claimed_at,\n  held_at = excluded.held_at,\n  held_note = excluded.held_note,\n  settled_at = excluded.settled_at,\n  settled_note = excluded.settled_note\n  , bucket = excluded.bucket\n  , counted_at = excluded.counted_at\nRETURNING\n  state = 'in-flight' AND owner = ? AND fencing_token >= CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000 AS claimed,\n  attempt, fencing_token, abandoned, steps, state, fingerprint, reply, reason,\n  lease_ends_at - CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS lease_remaining_ms,\n  expires_at - CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS ttl_remaining_ms",
      parameters: ["fingerprint","fingerprint","id","in_flight","bucket","in_flight","new_keys","bucket","window_ms","new_keys","must_be_issued","id","owner","above_token","fingerprint","fingerprint","lease_ms","lease_ms","lease_ms","ttl_ms","ttl_ms","scope","label","bucket","owner"],
    },
    addLimits: {
      text: "ALTER TABLE {{table}} ADD COLUMN bucket blob;\nALTER TABLE {{table}} ADD COLUMN counted_at bigint;\nCREATE INDEX {{alive_index}} ON {{table}} (bucket, lease_ends_at) WHERE bucket IS NOT NULL;\nCREATE INDEX {{new_keys_index}} ON {{table}} (bucket, counted_at) WHERE bucket IS NOT NULL;",
      parameters: [],
    },
    addStory: {
      text: "ALTER TABLE {{table}} ADD COLUMN scope blob;\nALTER TABLE {{table}} ADD COLUMN label blob;\nALTER TABLE {{table}} ADD COLUMN created_at bigint;\nALTER TABLE {{table}} ADD COLUMN claimed_at bigint;\nALTER TABLE {{table}} ADD COLUMN held_at bigint;\nALTER TABLE {{table}} ADD COLUMN held_note blob;\nALTER TABLE {{table}} ADD COLUMN settled_at bigint;\nALTER TABLE {{table}} ADD COLUMN settled_note blob;\nUPDATE {{table}} SET purge_at = 1000000000000000 + fencing_token / 1000 WHERE state = 'held';",
      parameters: [],
    },
    boundLease: {
      text: "UPDATE {{table}} SET lease_ends_at = CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) + lease_ms\nWHERE id = ? AND state = 'in-flight' AND lease_ends_at - CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) > lease_ms\nRETURNING 1 AS changed",
      parameters: ["id"],
    },
    checkLimits: {
      text: "SELECT bucket, counted_at FROM {{table}} WHERE 1 = 0",
      parameters: [],
    },
    checkTable: {
      text: "SELECT id, state, owner, attempt, fencing_token, abandoned, fingerprint, lease_ends_at, lease_ms,\n       expires_at, purge_at, steps, reply, reason,\n       scope, label, created_at, claimed_at, held_at, held_note, settled_at, settled_note\nFROM {{table}} WHERE 1 = 0",
      parameters: [],
    },
    complete: {
      text: "WITH clock AS (SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS ms)\nUPDATE {{table}} SET\n  state = 'completed',\n  reply = ?,\n  reason = NULL,\n  settled_at = CASE WHEN ? = 'held' THEN CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) ELSE settled_at END,\n  settled_note = CASE WHEN ? = 'held' THEN ? ELSE settled_note END,\n  steps = x'',\n  lease_ends_at = 0,\n  expires_at = (SELECT ms FROM clock) + ?,\n  purge_at = (SELECT ms FROM clock) + ?\nWHERE id = ? AND owner = ?\n  AND state = ? AND (state = 'held' OR lease_ends_at > (SELECT ms FROM clock))\nRETURNING 1 AS changed",
      parameters: ["reply","from","from","note","ttl_ms","ttl_ms","id","owner","from"],
    },
    createTable: {
      text: "CREATE TABLE {{table}} (\n  id blob NOT NULL PRIMARY KEY,\n  state varchar(9) NOT NULL,\n  owner blob NOT NULL,\n  attempt integer NOT NULL,\n  fencing_token bigint NOT NULL,\n  abandoned boolean NOT NULL,\n  fingerprint blob NOT NULL,\n  lease_ends_at bigint NOT NULL,\n  lease_ms bigint NOT NULL,\n  expires_at bigint,\n  purge_at bigint,\n  steps blob NOT NULL,\n  reply blob,\n  reason blob,\n  scope blob,\n  label blob,\n  created_at bigint,\n  claimed_at bigint,\n  held_at bigint,\n  held_note blob,\n  settled_at bigint,\n  settled_note blob\n);\nCREATE INDEX {{index}} ON {{table}} (purge_at);",
      parameters: [],
    },
    dropLimits: {
      text: "DROP INDEX {{qualified_alive_index}};\nDROP INDEX {{qualified_new_keys_index}};\nALTER TABLE {{table}} DROP COLUMN bucket;\nALTER TABLE {{table}} DROP COLUMN counted_at;",
      parameters: [],
    },
    dropStory: {
      text: "UPDATE {{table}} SET purge_at = NULL WHERE state = 'held';\nALTER TABLE {{table}} DROP COLUMN scope;\nALTER TABLE {{table}} DROP COLUMN label;\nALTER TABLE {{table}} DROP COLUMN created_at;\nALTER TABLE {{table}} DROP COLUMN claimed_at;\nALTER TABLE {{table}} DROP COLUMN held_at;\nALTER TABLE {{table}} DROP COLUMN held_note;\nALTER TABLE {{table}} DROP COLUMN settled_at;\nALTER TABLE {{table}} DROP COLUMN settled_note;",
      parameters: [],
    },
    dropTable: {
      text: "DROP TABLE {{table}}",
      parameters: [],
    },
    extend: {
      text: "WITH clock AS (SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS ms)\nUPDATE {{table}} SET\n  lease_ends_at = (SELECT ms FROM clock) + ?,\n  lease_ms = ?,\n  expires_at = (SELECT ms FROM clock) + ? + ?\nWHERE id = ? AND owner = ?\n  AND state = 'in-flight' AND lease_ends_at > (SELECT ms FROM clock)\nRETURNING 1 AS changed",
      parameters: ["lease_ms","lease_ms","lease_ms","ttl_ms","id","owner"],
    },
    find: {
      text: "SELECT state, owner, attempt, fencing_token, fingerprint, steps, reply, reason,\n  scope, label, created_at, claimed_at, held_at, held_note, settled_at, settled_note,\n  min(lease_ends_at - CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER), lease_ms) AS lease_remaining_ms,\n  expires_at - CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS ttl_remaining_ms\nFROM {{table}}\nWHERE id = ?",
      parameters: ["id"],
    },
    forget: {
      text: "WITH clock AS (SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS ms)\nUPDATE {{table}} SET\n  state = 'released',\n  owner = x'',\n  attempt = 0,\n  abandoned = 0,\n  fingerprint = x'',\n  lease_ends_at = 0,\n  expires_at = (SELECT ms FROM clock),\n  purge_at = (SELECT ms FROM clock) + 86400000,\n  steps = x'',\n  reply = NULL,\n  reason = NULL,\n  scope = NULL,\n  label = NULL,\n  created_at = NULL,\n  claimed_at = NULL,\n  held_at = NULL,\n  held_note = NULL,\n  settled_at = NULL,\n  settled_note = NULL\nWHERE id = ?\n  AND NOT (state = 'in-flight' AND lease_ends_at > (SELECT ms FROM clock))\n  AND (expires_at IS NULL OR expires_at > (SELECT ms FROM clock))\nRETURNING 1 AS changed",
      parameters: ["id"],
    },
    hold: {
      text: "WITH clock AS (SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS ms)\nUPDATE {{table}} SET\n  state = 'held',\n  reason = ?,\n  held_at = CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER),\n  held_note = ?,\n  lease_ends_at = 0,\n  expires_at = NULL,\n  purge_at = 1000000000000000 + CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)\nWHERE id = ? AND owner = ?\n  AND state = 'in-flight' AND lease_ends_at > (SELECT ms FROM clock)\nRETURNING 1 AS changed",
      parameters: ["reason","note","id","owner"],
    },
    issue: {
      text: "WITH clock AS (SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS ms)\nINSERT INTO {{table}} (\n  id, state, owner, attempt, fencing_token, abandoned, fingerprint,\n  lease_ends_at, lease_ms, expires_at, purge_at, steps, created_at\n)\nSELECT ?, 'issued', x'', 0, 0, 0, x'', 0, 0, ms + ?, ms + ?, x'', ms\nFROM clock\nWHERE true\nON CONFLICT (id) DO UPDATE SET\n  state = excluded.state,\n  owner = excluded.owner,\n  attempt = excluded.attempt,\n  abandoned = excluded.abandoned,\n  fingerprint = excluded.fingerprint,\n  lease_ends_at = excluded.lease_ends_at,\n  expires_at = excluded.expires_at,\n  purge_at = excluded.purge_at,\n  steps = excluded.steps,\n  reply = NULL,\n  reason = NULL,\n  scope = NULL,\n  label = NULL,\n  created_at = excluded.created_at,\n  claimed_at = NULL,\n  held_at = NULL,\n  held_note = NULL,\n  settled_at = NULL,\n  settled_note = NULL\nWHERE expires_at <= CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)\nRETURNING 1 AS changed",
      parameters: ["id","ttl_ms","ttl_ms"],
    },
    keepClaim: {
      text: "WITH clock AS (SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS ms)\nUPDATE {{table}} SET\n  lease_ends_at = (SELECT ms FROM clock) + ?,\n  lease_ms = ?,\n  expires_at = (SELECT ms FROM clock) + ? + ?\nWHERE id = ? AND owner = ?\n  AND state = 'in-flight'\nRETURNING 1 AS changed",
      parameters: ["lease_ms","lease_ms","lease_ms","ttl_ms","id","owner"],
    },
    list: {
      text: "SELECT id, state, owner, attempt, fencing_token, fingerprint, reason, purge_at,\n  scope, label, created_at, claimed_at, held_at, held_note, settled_at, settled_note,\n  min(lease_ends_at - CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER), lease_ms) AS lease_remaining_ms,\n  expires_at - CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS ttl_remaining_ms\nFROM {{table}}\nWHERE purge_at >= ? AND purge_at < ?\n  AND (purge_at > ? OR id > ?)\nORDER BY purge_at, id\nLIMIT ?",
      parameters: ["after_at","until_at","after_at","after_id","limit"],
    },
    purgeExpired: {
      text: "WITH expired AS (\n  SELECT id FROM {{table}}\n  WHERE purge_at < CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AND expires_at < CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)\n  ORDER BY purge_at\n  LIMIT ?\n)\nDELETE FROM {{table}} WHERE id IN (SELECT id FROM expired)\nRETURNING 1 AS deleted",
      parameters: ["limit"],
    },
    release: {
      text: "WITH clock AS (SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS ms)\nUPDATE {{table}} SET\n  state = 'released',\n  attempt = CASE WHEN ? = 'held' AND ? = 1 THEN 0 ELSE attempt - ? END,\n  reason = NULL,\n  settled_at = CASE WHEN ? = 'held' THEN CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) ELSE settled_at END,\n  settled_note = CASE WHEN ? = 'held' THEN ? ELSE settled_note END,\n  lease_ends_at = 0,\n  expires_at = (SELECT ms FROM clock) + ?,\n  purge_at = (SELECT ms FROM clock) + ?\nWHERE id = ? AND owner = ?\n  AND state = ? AND (state = 'held' OR lease_ends_at > (SELECT ms FROM clock))\nRETURNING 1 AS changed",
      parameters: ["from","uncounted","uncounted","from","from","note","ttl_ms","ttl_ms","id","owner","from"],
    },
    room: {
      text: "SELECT\n  (\n    SELECT count(*) FROM (\n      SELECT 1 FROM {{table}}\n      WHERE bucket = ? AND lease_ends_at > CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)\n        AND lease_ends_at - CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) <= lease_ms\n      LIMIT ?\n    ) AS counted\n  ) AS alive,\n  (\n    SELECT counted_at + ? - CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) FROM {{table}}\n    WHERE bucket = ? AND counted_at > CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) - ?\n      AND counted_at <= CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AND ? > 0\n    ORDER BY counted_at DESC LIMIT 1 OFFSET ?\n  ) AS leaving_ms",
      parameters: ["bucket","in_flight","window_ms","bucket","window_ms","new_keys","last_kept"],
    },
    saveStep: {
      text: "WITH clock AS (SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS ms)\nUPDATE {{table}} SET steps = CAST(steps || ? AS BLOB)\nWHERE id = ? AND owner = ?\n  AND state = 'in-flight' AND lease_ends_at > (SELECT ms FROM clock)\nRETURNING 1 AS changed",
      parameters: ["step","id","owner"],
    },
  },
} as const;
