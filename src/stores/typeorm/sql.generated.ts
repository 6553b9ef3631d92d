// Made by scripts/embed-scripts.mjs from the files beside it. Do not edit.

export const SQL = {
  mysql: {
    acquire: {
      text: "INSERT INTO {{table}} (\n  id, state, owner, attempt, fencing_token, abandoned, fingerprint,\n  lease_ends_at, lease_ms, expires_at, purge_at, steps\n) VALUES (\n  ?, 'in-flight', ?, 1,\n  last_insert_id(greatest(timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)), ? + 1)), false, ?,\n  (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?,\n  ?,\n  (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ? + ?,\n  (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?,\n  ''\n)\nON DUPLICATE KEY UPDATE fencing_token = last_insert_id(0) + fencing_token",
      parameters: ["id","owner","above_token","fingerprint","lease_ms","lease_ms","lease_ms","ttl_ms","ttl_ms"],
    },
    boundLease: {
      text: "UPDATE {{table}} SET lease_ends_at = (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + lease_ms\nWHERE id = ? AND state = 'in-flight' AND lease_ends_at - (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) > lease_ms",
      parameters: ["id"],
    },
    checkTable: {
      text: "SELECT id, state, owner, attempt, fencing_token, abandoned, fingerprint, lease_ends_at, lease_ms,\n       expires_at, purge_at, steps, reply, reason\nFROM {{table}} WHERE 1 = 0",
      parameters: [],
    },
    complete: {
      text: "UPDATE {{table}} SET\n  state = 'completed',\n  reply = ?,\n  reason = NULL,\n  steps = '',\n  lease_ends_at = 0,\n  expires_at = (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?,\n  purge_at = CASE\n    WHEN purge_at BETWEEN (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ? - 60000 AND (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?\n      THEN purge_at\n    ELSE (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?\n  END\nWHERE id = ? AND owner = ?\n  AND state = ? AND (state = 'held' OR lease_ends_at > (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000))",
      parameters: ["reply","ttl_ms","ttl_ms","ttl_ms","ttl_ms","id","owner","from"],
    },
    createTable: {
      text: "CREATE TABLE {{table}} (\n  id binary(32) NOT NULL PRIMARY KEY,\n  state varchar(9) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,\n  owner blob NOT NULL,\n  attempt integer NOT NULL,\n  fencing_token bigint NOT NULL,\n  abandoned boolean NOT NULL,\n  fingerprint blob NOT NULL,\n  lease_ends_at bigint NOT NULL,\n  lease_ms bigint NOT NULL,\n  expires_at bigint,\n  purge_at bigint,\n  steps longblob NOT NULL,\n  reply longblob,\n  reason longblob,\n  INDEX {{index}} (purge_at)\n) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;",
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
      text: "SELECT state, owner, attempt, fencing_token, fingerprint, steps, reply, reason, lease_ends_at,\n  least(lease_ends_at - (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), lease_ms) AS lease_remaining_ms,\n  lease_ends_at - (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) > lease_ms AS is_ahead,\n  expires_at - (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) AS ttl_remaining_ms\nFROM {{table}}\nWHERE id = ?\nFOR UPDATE",
      parameters: ["id"],
    },
    find: {
      text: "SELECT state, owner, attempt, fencing_token, fingerprint, steps, reply, reason, lease_ends_at,\n  least(lease_ends_at - (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), lease_ms) AS lease_remaining_ms,\n  lease_ends_at - (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) > lease_ms AS is_ahead,\n  expires_at - (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) AS ttl_remaining_ms\nFROM {{table}}\nWHERE id = ?",
      parameters: ["id"],
    },
    forget: {
      text: "UPDATE {{table}} SET\n  state = 'released',\n  owner = '',\n  attempt = 0,\n  abandoned = false,\n  fingerprint = '',\n  lease_ends_at = 0,\n  expires_at = (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000),\n  purge_at = (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + 86400000,\n  steps = '',\n  reply = NULL,\n  reason = NULL\nWHERE id = ?\n  AND NOT (state = 'in-flight' AND lease_ends_at > (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000))\n  AND (expires_at IS NULL OR expires_at > (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000))",
      parameters: ["id"],
    },
    hold: {
      text: "UPDATE {{table}} SET\n  state = 'held',\n  reason = ?,\n  lease_ends_at = 0,\n  expires_at = NULL,\n  purge_at = NULL\nWHERE id = ? AND owner = ?\n  AND state = 'in-flight' AND lease_ends_at > (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000)",
      parameters: ["reason","id","owner"],
    },
    issue: {
      text: "INSERT INTO {{table}} (\n  id, state, owner, attempt, fencing_token, abandoned, fingerprint,\n  lease_ends_at, lease_ms, expires_at, purge_at, steps\n) VALUES (\n  ?, 'issued', '', 0, last_insert_id(1) - 1, false, '',\n  0, 0, (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?, (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?, ''\n)\nON DUPLICATE KEY UPDATE\n  state = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), 'issued', state),\n  owner = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), '', owner),\n  attempt = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), 0, attempt),\n  abandoned = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), false, abandoned),\n  fingerprint = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), '', fingerprint),\n  lease_ends_at = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), 0, lease_ends_at),\n  purge_at = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?, purge_at),\n  steps = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), '', steps),\n  reply = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), NULL, reply),\n  reason = if(expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000), NULL, reason),\n  expires_at = if(\n    expires_at <= (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000),\n    last_insert_id(1) - 1 + (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?,\n    last_insert_id(0) + expires_at)",
      parameters: ["id","ttl_ms","ttl_ms","ttl_ms","ttl_ms"],
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
      text: "UPDATE {{table}} SET\n  state = 'released',\n  reason = NULL,\n  lease_ends_at = 0,\n  expires_at = (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?,\n  purge_at = CASE\n    WHEN purge_at BETWEEN (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ? - 60000 AND (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?\n      THEN purge_at\n    ELSE (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?\n  END\nWHERE id = ? AND owner = ?\n  AND state = ? AND (state = 'held' OR lease_ends_at > (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000))",
      parameters: ["ttl_ms","ttl_ms","ttl_ms","ttl_ms","id","owner","from"],
    },
    saveStep: {
      text: "UPDATE {{table}} SET steps = concat(steps, ?)\nWHERE id = ? AND owner = ?\n  AND state = 'in-flight' AND lease_ends_at > (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000)",
      parameters: ["step","id","owner"],
    },
    takeOver: {
      text: "UPDATE {{table}} SET\n  state = 'in-flight',\n  owner = ?,\n  attempt = ?,\n  fencing_token = last_insert_id(greatest(fencing_token + 1, timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)), ? + 1)),\n  abandoned = ?,\n  fingerprint = ?,\n  lease_ends_at = (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ?,\n  lease_ms = ?,\n  expires_at = (timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) DIV 1000) + ? + ?,\n  steps = if(?, steps, ''),\n  reply = NULL,\n  reason = NULL\nWHERE id = ? AND state = ?\n  AND fencing_token = ? AND lease_ends_at = ?",
      parameters: ["owner","attempt","above_token","abandoned","fingerprint","lease_ms","lease_ms","lease_ms","ttl_ms","keeps_steps","id","seen_state","seen_token","seen_lease"],
    },
    unlockPurge: {
      text: "DO release_lock(sha1(concat(database(), ?)))",
      parameters: ["lock"],
    },
  },
  postgres: {
    acquire: {
      text: "WITH claimed AS (\n  INSERT INTO {{table}} (\n    id, state, owner, attempt, fencing_token, abandoned, fingerprint,\n    lease_ends_at, lease_ms, expires_at, purge_at, steps\n  )\n  SELECT $1::bytea, 'in-flight', $2::bytea, 1,\n    greatest(round(date_part('epoch', clock_timestamp()) * 1000000)::bigint, $3::bigint + 1), false, $4::bytea,\n    floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $5::bigint,\n    $5::bigint,\n    floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $5::bigint + $6::bigint,\n    floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $6::bigint,\n    ''::bytea\n  WHERE $7::integer = 0\n  ON CONFLICT (id) DO NOTHING\n  RETURNING fencing_token\n)\nSELECT 'acquired' AS outcome, fencing_token AS amount, NULL::bytea AS content FROM claimed\nUNION ALL\nSELECT\n  CASE\n    WHEN expires_at <= floor(date_part('epoch', clock_timestamp()) * 1000)::bigint AND $7::integer = 1 THEN 'unknown'\n    WHEN expires_at <= floor(date_part('epoch', clock_timestamp()) * 1000)::bigint THEN 'claimable'\n    WHEN fingerprint <> $4::bytea\n      AND octet_length(fingerprint) > 0 AND octet_length($4::bytea) > 0\n      AND (state <> 'released' OR octet_length(steps) > 0) THEN 'mismatch'\n    WHEN state = 'in-flight' AND lease_ends_at <= floor(date_part('epoch', clock_timestamp()) * 1000)::bigint THEN 'claimable'\n    WHEN state = 'in-flight' AND lease_ends_at - floor(date_part('epoch', clock_timestamp()) * 1000)::bigint > lease_ms THEN 'ahead'\n    WHEN state IN ('issued', 'released') THEN 'claimable'\n    ELSE state\n  END,\n  least(lease_ends_at - floor(date_part('epoch', clock_timestamp()) * 1000)::bigint, lease_ms),\n  CASE\n    WHEN fingerprint <> $4::bytea\n      AND octet_length(fingerprint) > 0 AND octet_length($4::bytea) > 0\n      AND (state <> 'released' OR octet_length(steps) > 0) THEN fingerprint\n    ELSE coalesce(reply, reason)\n  END\nFROM {{table}}\nWHERE id = $1::bytea",
      parameters: ["id","owner","above_token","fingerprint","lease_ms","ttl_ms","must_be_issued"],
    },
    boundLease: {
      text: "UPDATE {{table}} SET lease_ends_at = floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + lease_ms\nWHERE id = $1::bytea AND state = 'in-flight' AND lease_ends_at - floor(date_part('epoch', clock_timestamp()) * 1000)::bigint > lease_ms",
      parameters: ["id"],
    },
    checkTable: {
      text: "SELECT id, state, owner, attempt, fencing_token, abandoned, fingerprint, lease_ends_at, lease_ms,\n       expires_at, purge_at, steps, reply, reason\nFROM {{table}} WHERE 1 = 0",
      parameters: [],
    },
    complete: {
      text: "UPDATE {{table}} SET\n  state = 'completed',\n  reply = $1::bytea,\n  reason = NULL,\n  steps = ''::bytea,\n  lease_ends_at = 0,\n  expires_at = floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $2::bigint,\n  purge_at = CASE\n    WHEN purge_at BETWEEN floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $2::bigint - 60000\n      AND floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $2::bigint THEN purge_at\n    ELSE floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $2::bigint\n  END\nWHERE id = $3::bytea AND owner = $4::bytea\n  AND state = $5::text AND (state = 'held' OR lease_ends_at > floor(date_part('epoch', clock_timestamp()) * 1000)::bigint)",
      parameters: ["reply","ttl_ms","id","owner","from"],
    },
    createTable: {
      text: "CREATE TABLE {{table}} (\n  id bytea PRIMARY KEY,\n  state varchar(9) NOT NULL,\n  owner bytea NOT NULL,\n  attempt integer NOT NULL,\n  fencing_token bigint NOT NULL,\n  abandoned boolean NOT NULL,\n  fingerprint bytea NOT NULL,\n  lease_ends_at bigint NOT NULL,\n  lease_ms bigint NOT NULL,\n  expires_at bigint,\n  purge_at bigint,\n  steps bytea NOT NULL,\n  reply bytea,\n  reason bytea\n) WITH (fillfactor = 80);\nCREATE INDEX {{index}} ON {{table}} (purge_at);",
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
      text: "SELECT state, owner, attempt, fencing_token, fingerprint, steps, reply, reason,\n  least(lease_ends_at - floor(date_part('epoch', clock_timestamp()) * 1000)::bigint, lease_ms) AS lease_remaining_ms,\n  expires_at - floor(date_part('epoch', clock_timestamp()) * 1000)::bigint AS ttl_remaining_ms\nFROM {{table}}\nWHERE id = $1::bytea",
      parameters: ["id"],
    },
    forget: {
      text: "UPDATE {{table}} SET\n  state = 'released',\n  owner = ''::bytea,\n  attempt = 0,\n  abandoned = false,\n  fingerprint = ''::bytea,\n  lease_ends_at = 0,\n  expires_at = floor(date_part('epoch', clock_timestamp()) * 1000)::bigint,\n  purge_at = floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + 86400000,\n  steps = ''::bytea,\n  reply = NULL,\n  reason = NULL\nWHERE id = $1::bytea\n  AND NOT (state = 'in-flight' AND lease_ends_at > floor(date_part('epoch', clock_timestamp()) * 1000)::bigint)\n  AND (expires_at IS NULL OR expires_at > floor(date_part('epoch', clock_timestamp()) * 1000)::bigint)",
      parameters: ["id"],
    },
    hold: {
      text: "UPDATE {{table}} SET\n  state = 'held',\n  reason = $1::bytea,\n  lease_ends_at = 0,\n  expires_at = NULL,\n  purge_at = NULL\nWHERE id = $2::bytea AND owner = $3::bytea\n  AND state = 'in-flight' AND lease_ends_at > floor(date_part('epoch', clock_timestamp()) * 1000)::bigint",
      parameters: ["reason","id","owner"],
    },
    issue: {
      text: "INSERT INTO {{table}} AS record (\n  id, state, owner, attempt, fencing_token, abandoned, fingerprint,\n  lease_ends_at, lease_ms, expires_at, purge_at, steps\n)\nSELECT $1::bytea, 'issued', ''::bytea, 0, 0, false, ''::bytea,\n  0, 0, ms + $2::bigint, ms + $2::bigint, ''::bytea\nFROM (SELECT floor(date_part('epoch', clock_timestamp()) * 1000)::bigint AS ms) AS clock\nON CONFLICT (id) DO UPDATE SET\n  state = excluded.state,\n  owner = excluded.owner,\n  attempt = excluded.attempt,\n  abandoned = excluded.abandoned,\n  fingerprint = excluded.fingerprint,\n  lease_ends_at = excluded.lease_ends_at,\n  expires_at = excluded.expires_at,\n  purge_at = excluded.purge_at,\n  steps = excluded.steps,\n  reply = NULL,\n  reason = NULL\nWHERE record.expires_at <= floor(date_part('epoch', clock_timestamp()) * 1000)::bigint",
      parameters: ["id","ttl_ms"],
    },
    purgeExpired: {
      text: "DELETE FROM {{table}}\nWHERE id = ANY (ARRAY(\n  SELECT id FROM {{table}}\n  WHERE purge_at < (SELECT floor(date_part('epoch', clock_timestamp()) * 1000)::bigint) AND expires_at < (SELECT floor(date_part('epoch', clock_timestamp()) * 1000)::bigint)\n    AND (SELECT pg_try_advisory_xact_lock($1::bigint))\n  ORDER BY purge_at\n  LIMIT $2::integer\n  FOR UPDATE SKIP LOCKED\n)) AND expires_at < floor(date_part('epoch', clock_timestamp()) * 1000)::bigint",
      parameters: ["lock","limit"],
    },
    release: {
      text: "UPDATE {{table}} SET\n  state = 'released',\n  reason = NULL,\n  lease_ends_at = 0,\n  expires_at = floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $1::bigint,\n  purge_at = CASE\n    WHEN purge_at BETWEEN floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $1::bigint - 60000\n      AND floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $1::bigint THEN purge_at\n    ELSE floor(date_part('epoch', clock_timestamp()) * 1000)::bigint + $1::bigint\n  END\nWHERE id = $2::bytea AND owner = $3::bytea\n  AND state = $4::text AND (state = 'held' OR lease_ends_at > floor(date_part('epoch', clock_timestamp()) * 1000)::bigint)",
      parameters: ["ttl_ms","id","owner","from"],
    },
    saveStep: {
      text: "UPDATE {{table}} SET steps = steps || $1::bytea\nWHERE id = $2::bytea AND owner = $3::bytea\n  AND state = 'in-flight' AND lease_ends_at > floor(date_part('epoch', clock_timestamp()) * 1000)::bigint",
      parameters: ["step","id","owner"],
    },
    takeOver: {
      text: "UPDATE {{table}} AS record SET\n  state = 'in-flight',\n  owner = $1::bytea,\n  attempt = CASE\n    WHEN record.expires_at <= clock.us / 1000 THEN 1\n    WHEN record.fingerprint <> $2::bytea\n      AND octet_length(record.fingerprint) > 0 AND octet_length($2::bytea) > 0 THEN 1\n    ELSE record.attempt + 1\n  END,\n  fencing_token = greatest(record.fencing_token + 1, clock.us, $3::bigint + 1),\n  abandoned = record.state = 'in-flight' AND record.expires_at > clock.us / 1000,\n  fingerprint = CASE\n    WHEN record.expires_at > clock.us / 1000 AND octet_length($2::bytea) = 0\n      THEN record.fingerprint\n    ELSE $2::bytea\n  END,\n  lease_ends_at = clock.us / 1000 + $4::bigint,\n  lease_ms = $4::bigint,\n  expires_at = clock.us / 1000 + $4::bigint + $5::bigint,\n  steps = CASE WHEN record.expires_at > clock.us / 1000 THEN record.steps ELSE ''::bytea END,\n  reply = NULL,\n  reason = NULL\nFROM (SELECT round(date_part('epoch', clock_timestamp()) * 1000000)::bigint AS us) AS clock\nWHERE record.id = $6::bytea\n  AND CASE\n    WHEN record.expires_at <= clock.us / 1000 THEN $7::integer = 0\n    WHEN record.state = 'released' AND octet_length(record.steps) = 0 THEN true\n    WHEN record.fingerprint <> $2::bytea\n      AND octet_length(record.fingerprint) > 0 AND octet_length($2::bytea) > 0 THEN false\n    WHEN record.state = 'in-flight' THEN record.lease_ends_at <= clock.us / 1000\n    ELSE record.state IN ('issued', 'released')\n  END\nRETURNING record.attempt, record.fencing_token, record.abandoned, record.steps",
      parameters: ["owner","fingerprint","above_token","lease_ms","ttl_ms","id","must_be_issued"],
    },
  },
  sqlite: {
    acquire: {
      text: "WITH clock AS (\n  SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS ms\n), present AS (\n  SELECT record.*, clock.ms,\n    record.id IS NULL OR record.expires_at <= clock.ms AS is_new,\n    length(record.fingerprint) > 0 AND length(?) > 0\n      AND record.fingerprint <> ? AS is_other\n  FROM clock LEFT JOIN {{table}} AS record ON record.id = ?\n), decided AS (\n  SELECT *,\n    CASE\n      WHEN is_new THEN ? = 0\n      WHEN state = 'released' AND length(steps) = 0 THEN 1\n      WHEN is_other THEN 0\n      WHEN state = 'in-flight' THEN lease_ends_at <= ms\n      ELSE state IN ('issued', 'released')\n    END AS is_claimable\n  FROM present\n)\nINSERT INTO {{table}} (\n  id, state, owner, attempt, fencing_token, abandoned, fingerprint,\n  lease_ends_at, lease_ms, expires_at, purge_at, steps, reply, reason\n)\nSELECT ?,\n  CASE WHEN is_claimable THEN 'in-flight' ELSE state END,\n  CASE WHEN is_claimable THEN ? ELSE owner END,\n  CASE WHEN NOT is_claimable THEN attempt WHEN is_new OR is_other THEN 1 ELSE attempt + 1 END,\n  CASE WHEN is_claimable THEN max(coalesce(fencing_token, 0) + 1, CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000, ? + 1) ELSE fencing_token END,\n  CASE WHEN is_claimable THEN NOT is_new AND state = 'in-flight' ELSE abandoned END,\n  CASE\n    WHEN is_claimable AND (is_new OR length(?) > 0) THEN ?\n    ELSE fingerprint\n  END,\n  CASE WHEN is_claimable THEN ms + ? ELSE min(lease_ends_at, ms + lease_ms) END,\n  CASE WHEN is_claimable THEN ? ELSE lease_ms END,\n  CASE WHEN is_claimable THEN ms + ? + ? ELSE expires_at END,\n  ms + ?,\n  CASE WHEN is_claimable AND is_new THEN x'' ELSE steps END,\n  CASE WHEN is_claimable THEN NULL ELSE reply END,\n  CASE WHEN is_claimable THEN NULL ELSE reason END\nFROM decided\nWHERE is_claimable OR id IS NOT NULL\nON CONFLICT (id) DO UPDATE SET\n  state = excluded.state,\n  owner = excluded.owner,\n  attempt = excluded.attempt,\n  fencing_token = excluded.fencing_token,\n  abandoned = excluded.abandoned,\n  fingerprint = excluded.fingerprint,\n  lease_ends_at = excluded.lease_ends_at,\n  lease_ms = excluded.lease_ms,\n  expires_at = excluded.expires_at,\n  steps = excluded.steps,\n  reply = excluded.reply,\n  reason = excluded.reason\nRETURNING\n  state = 'in-flight' AND owner = ? AND fencing_token >= CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000 AS claimed,\n  attempt, fencing_token, abandoned, steps, state, fingerprint, reply, reason,\n  lease_ends_at - CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS lease_remaining_ms,\n  expires_at - CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS ttl_remaining_ms",
      parameters: ["fingerprint","fingerprint","id","must_be_issued","id","owner","above_token","fingerprint","fingerprint","lease_ms","lease_ms","lease_ms","ttl_ms","ttl_ms","owner"],
    },
    boundLease: {
      text: "UPDATE {{table}} SET lease_ends_at = CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) + lease_ms\nWHERE id = ? AND state = 'in-flight' AND lease_ends_at - CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) > lease_ms\nRETURNING 1 AS changed",
      parameters: ["id"],
    },
    checkTable: {
      text: "SELECT id, state, owner, attempt, fencing_token, abandoned, fingerprint, lease_ends_at, lease_ms,\n       expires_at, purge_at, steps, reply, reason\nFROM {{table}} WHERE 1 = 0",
      parameters: [],
    },
    complete: {
      text: "WITH clock AS (SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS ms)\nUPDATE {{table}} SET\n  state = 'completed',\n  reply = ?,\n  reason = NULL,\n  steps = x'',\n  lease_ends_at = 0,\n  expires_at = (SELECT ms FROM clock) + ?,\n  purge_at = (SELECT ms FROM clock) + ?\nWHERE id = ? AND owner = ?\n  AND state = ? AND (state = 'held' OR lease_ends_at > (SELECT ms FROM clock))\nRETURNING 1 AS changed",
      parameters: ["reply","ttl_ms","ttl_ms","id","owner","from"],
    },
    createTable: {
      text: "CREATE TABLE {{table}} (\n  id blob NOT NULL PRIMARY KEY,\n  state varchar(9) NOT NULL,\n  owner blob NOT NULL,\n  attempt integer NOT NULL,\n  fencing_token bigint NOT NULL,\n  abandoned boolean NOT NULL,\n  fingerprint blob NOT NULL,\n  lease_ends_at bigint NOT NULL,\n  lease_ms bigint NOT NULL,\n  expires_at bigint,\n  purge_at bigint,\n  steps blob NOT NULL,\n  reply blob,\n  reason blob\n);\nCREATE INDEX {{index}} ON {{table}} (purge_at);",
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
      text: "SELECT state, owner, attempt, fencing_token, fingerprint, steps, reply, reason,\n  min(lease_ends_at - CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER), lease_ms) AS lease_remaining_ms,\n  expires_at - CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS ttl_remaining_ms\nFROM {{table}}\nWHERE id = ?",
      parameters: ["id"],
    },
    forget: {
      text: "WITH clock AS (SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS ms)\nUPDATE {{table}} SET\n  state = 'released',\n  owner = x'',\n  attempt = 0,\n  abandoned = 0,\n  fingerprint = x'',\n  lease_ends_at = 0,\n  expires_at = (SELECT ms FROM clock),\n  purge_at = (SELECT ms FROM clock) + 86400000,\n  steps = x'',\n  reply = NULL,\n  reason = NULL\nWHERE id = ?\n  AND NOT (state = 'in-flight' AND lease_ends_at > (SELECT ms FROM clock))\n  AND (expires_at IS NULL OR expires_at > (SELECT ms FROM clock))\nRETURNING 1 AS changed",
      parameters: ["id"],
    },
    hold: {
      text: "WITH clock AS (SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS ms)\nUPDATE {{table}} SET\n  state = 'held',\n  reason = ?,\n  lease_ends_at = 0,\n  expires_at = NULL,\n  purge_at = NULL\nWHERE id = ? AND owner = ?\n  AND state = 'in-flight' AND lease_ends_at > (SELECT ms FROM clock)\nRETURNING 1 AS changed",
      parameters: ["reason","id","owner"],
    },
    issue: {
      text: "WITH clock AS (SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS ms)\nINSERT INTO {{table}} (\n  id, state, owner, attempt, fencing_token, abandoned, fingerprint,\n  lease_ends_at, lease_ms, expires_at, purge_at, steps\n)\nSELECT ?, 'issued', x'', 0, 0, 0, x'', 0, 0, ms + ?, ms + ?, x''\nFROM clock\nWHERE true\nON CONFLICT (id) DO UPDATE SET\n  state = excluded.state,\n  owner = excluded.owner,\n  attempt = excluded.attempt,\n  abandoned = excluded.abandoned,\n  fingerprint = excluded.fingerprint,\n  lease_ends_at = excluded.lease_ends_at,\n  expires_at = excluded.expires_at,\n  purge_at = excluded.purge_at,\n  steps = excluded.steps,\n  reply = NULL,\n  reason = NULL\nWHERE expires_at <= CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)\nRETURNING 1 AS changed",
      parameters: ["id","ttl_ms","ttl_ms"],
    },
    purgeExpired: {
      text: "WITH expired AS (\n  SELECT id FROM {{table}}\n  WHERE purge_at < CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AND expires_at < CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)\n  ORDER BY purge_at\n  LIMIT ?\n)\nDELETE FROM {{table}} WHERE id IN (SELECT id FROM expired)\nRETURNING 1 AS deleted",
      parameters: ["limit"],
    },
    release: {
      text: "WITH clock AS (SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS ms)\nUPDATE {{table}} SET\n  state = 'released',\n  reason = NULL,\n  lease_ends_at = 0,\n  expires_at = (SELECT ms FROM clock) + ?,\n  purge_at = (SELECT ms FROM clock) + ?\nWHERE id = ? AND owner = ?\n  AND state = ? AND (state = 'held' OR lease_ends_at > (SELECT ms FROM clock))\nRETURNING 1 AS changed",
      parameters: ["ttl_ms","ttl_ms","id","owner","from"],
    },
    saveStep: {
      text: "WITH clock AS (SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS ms)\nUPDATE {{table}} SET steps = CAST(steps || ? AS BLOB)\nWHERE id = ? AND owner = ?\n  AND state = 'in-flight' AND lease_ends_at > (SELECT ms FROM clock)\nRETURNING 1 AS changed",
      parameters: ["step","id","owner"],
    },
  },
} as const;
