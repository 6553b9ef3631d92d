import type { Fault } from '../fault.js';

const file = (dialect: string, name: string): string =>
  `src/stores/sql/statements/${dialect}/${name}.sql`;
const CONTRACT = 'test/contract/typeorm.contract.test.ts';
const inPostgres = (cases: string): [string, string] => [
  CONTRACT,
  `on PostgreSQL keeps .* ${cases}`,
];
const inMariadb = (cases: string): [string, string] => [CONTRACT, `on MariaDB keeps .* ${cases}`];
const inSqlite = (cases: string): [string, string] => [CONTRACT, `on SQLite keeps .* ${cases}`];

export const SQL_FAULTS: readonly Fault[] = [
  {
    name: 'postgres: a live lease is taken over',
    breaks: ['guarantee 1', 'store postgres', 'S20', 'T2'],
    file: file('postgres', 'take-over'),
    find: "WHEN record.state = 'in-flight' THEN record.lease_ends_at <= clock.us / 1000",
    put: "WHEN record.state = 'in-flight' THEN true",
    tests: [inPostgres('1: ')],
  },
  {
    name: 'postgres: the dead row of an expired record refuses its key for ever',
    breaks: ['store postgres', 'T7', 'guarantee 5'],
    file: file('postgres', 'take-over'),
    find: 'WHEN record.expires_at <= clock.us / 1000 THEN :must_be_issued::integer = 0',
    put: 'WHEN record.expires_at <= clock.us / 1000 AND :must_be_issued::integer = 0 THEN false',
    tests: [inPostgres('5: ')],
  },
  {
    name: 'postgres: an expired record gives its steps to the next operation',
    breaks: ['guarantee 5', 'store postgres'],
    file: file('postgres', 'take-over'),
    find: "steps = CASE WHEN record.expires_at > clock.us / 1000 THEN record.steps ELSE ''::bytea END",
    put: 'steps = record.steps',
    tests: [inPostgres('5: ')],
  },
  {
    name: 'postgres: a completed record is claimed again',
    breaks: ['guarantee 3', 'store postgres', 'S1'],
    file: file('postgres', 'acquire'),
    find: "WHEN state IN ('issued', 'released') THEN 'claimable'",
    put: "WHEN state IN ('issued', 'released', 'completed') THEN 'released'",
    tests: [inPostgres('[13]: ')],
  },
  {
    name: 'postgres: a mismatch is only noticed while the first call runs',
    breaks: ['guarantee 4', 'store postgres', 'S3b', 'T25'],
    file: file('postgres', 'acquire'),
    find: "AND (state <> 'released' OR octet_length(steps) > 0) THEN 'mismatch'",
    put: "AND state = 'in-flight' THEN 'mismatch'",
    tests: [inPostgres('4: ')],
  },
  {
    name: 'postgres: a stale owner completes',
    breaks: ['guarantee 2', 'store postgres', 'T3'],
    file: file('postgres', 'complete'),
    find: "AND state = :from::text AND (state = 'held' OR lease_ends_at > {{now_ms}})",
    put: 'AND state = :from::text',
    tests: [inPostgres('2: ')],
  },
  {
    name: 'postgres: the owner of a lapsed lease renews it',
    breaks: ['guarantee 2', 'store postgres'],
    file: file('postgres', 'extend'),
    find: "AND state = 'in-flight' AND lease_ends_at > {{now_ms}}",
    put: "AND state = 'in-flight'",
    tests: [inPostgres('2: ')],
  },
  {
    name: 'postgres: the clock of the database is that of the transaction',
    breaks: ['guarantee 5', 'store postgres'],
    file: file('postgres', 'now-ms'),
    find: 'clock_timestamp()',
    put: 'transaction_timestamp()',
    tests: [
      ['test/transactions/transactions.test.ts', 'on PostgreSQL.*from the end of the handler'],
    ],
  },
  {
    name: 'postgres: a purge takes what is held',
    breaks: ['guarantee 3', 'store postgres'],
    file: file('postgres', 'hold'),
    find: '  expires_at = NULL,\n  purge_at = 1000000000000000 + {{now_ms}}\n',
    put: '  purge_at = 0\n',
    tests: [inPostgres('3: ')],
  },
  {
    name: 'postgres: a purge takes what has just been claimed anew',
    breaks: ['T51', 'store postgres', 'guarantee 5'],
    file: file('postgres', 'purge-expired'),
    find: `AND expires_at < (SELECT {{now_ms}})
    AND (SELECT pg_try_advisory_xact_lock(:lock::bigint))
  ORDER BY purge_at
  LIMIT :limit::integer
  FOR UPDATE SKIP LOCKED
)) AND expires_at < {{now_ms}}`,
    put: `AND (SELECT pg_try_advisory_xact_lock(:lock::bigint))
  ORDER BY purge_at
  LIMIT :limit::integer
  FOR UPDATE SKIP LOCKED
))`,
    tests: [inPostgres('5: '), ['test/contract/typeorm-purge.test.ts', 'PostgreSQL']],
  },
  {
    name: 'postgres: a purge takes everything at once',
    breaks: ['T51', 'store postgres'],
    file: file('postgres', 'purge-expired'),
    find: 'LIMIT :limit::integer',
    put: 'LIMIT :limit::integer + 1000000',
    tests: [inPostgres('5: ')],
  },
  {
    name: 'postgres: a step takes the place of those before it',
    breaks: ['guarantee 6', 'store postgres'],
    file: file('postgres', 'save-step'),
    find: 'steps = steps || :step::bytea',
    put: 'steps = :step::bytea',
    tests: [inPostgres('6: ')],
  },
  {
    name: 'postgres: a claim that meets an expired token runs',
    breaks: ['S10', 'store postgres', 'guarantee 1'],
    file: file('postgres', 'acquire'),
    find: "WHEN expires_at <= {{now_ms}} AND :must_be_issued::integer = 1 THEN 'unknown'",
    put: "WHEN expires_at <= {{now_ms}} AND :must_be_issued::integer = 2 THEN 'unknown'",
    tests: [inPostgres('1: ')],
  },
  {
    name: 'mariadb: a takeover is read, then written',
    breaks: ['guarantee 1', 'store mysql', 'T4', 'S20'],
    file: file('mysql', 'take-over'),
    find: 'WHERE id = :id AND state = :seen_state\n  AND fencing_token = :seen_token AND lease_ends_at = :seen_lease',
    put: 'WHERE id = :id',
    tests: [inMariadb('1: ')],
  },
  {
    name: 'mariadb: a record that is gone between claim and look is taken for claimed',
    breaks: ['guarantee 1', 'store mysql', 'T13'],
    file: 'src/stores/sql/mysql-records.ts',
    find: "if (row === undefined) return 'changed';",
    put: 'if (row === undefined) return firstClaim(1);',
    tests: [['test/contract/typeorm-store.test.ts', 'on MariaDB claims anew what is gone']],
  },
  {
    name: 'mariadb: a refused duplicate raises the fencing token',
    breaks: ['guarantee 4', 'store mysql'],
    file: file('mysql', 'acquire'),
    find: 'fencing_token = last_insert_id(0) + fencing_token',
    put: 'fencing_token = last_insert_id(0) + fencing_token + 1',
    tests: [inMariadb('4: ')],
  },
  {
    name: 'mariadb: a renewal keeps the old ttl',
    breaks: ['guarantee 5', 'store mysql'],
    file: file('mysql', 'extend'),
    find: '  expires_at = {{now_ms}} + :lease_ms + :ttl_ms,\n',
    put: '  expires_at = expires_at + 0 * :ttl_ms,\n',
    tests: [inMariadb('[56]: ')],
  },
  {
    name: 'mariadb: a stale owner holds its successor’s record',
    breaks: ['guarantee 2', 'store mysql', 'T3'],
    file: file('mysql', 'hold'),
    find: 'WHERE id = :id AND owner = :owner\n',
    put: "WHERE id = :id AND :owner <> ''\n",
    tests: [inMariadb('2: ')],
  },
  {
    name: 'mariadb: a stale owner saves a step',
    breaks: ['guarantee 2', 'store mysql'],
    file: file('mysql', 'save-step'),
    find: "AND state = 'in-flight' AND lease_ends_at > {{now_ms}}",
    put: "AND state = 'in-flight'",
    tests: [inMariadb('2: ')],
  },
  {
    name: 'mariadb: texts that differ in case are one',
    breaks: ['guarantee 8', 'store mysql', 'T50', 'T18'],
    file: file('mysql', 'create-table'),
    find: 'fingerprint blob NOT NULL',
    put: 'fingerprint varchar(5000) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL',
    tests: [inMariadb('8: ')],
  },
  {
    name: 'mariadb: replies are cut to 64 KiB',
    breaks: ['guarantee 7', 'store mysql'],
    file: file('mysql', 'create-table'),
    find: 'reply longblob',
    put: 'reply blob',
    tests: [inMariadb('7: ')],
  },
  {
    name: 'sql: an attempt that did not fail counts',
    breaks: ['guarantee 6', 'T76'],
    file: 'src/stores/sql/records.ts',
    find: 'uncounted: request.isUncounted === true ? 1 : 0,',
    put: 'uncounted: 0,',
    tests: [inMariadb('6: does not count')],
  },
  {
    name: 'mariadb: a release leaves the attempt’s lease running',
    breaks: ['guarantee 6', 'store mysql', 'S10b'],
    file: file('mysql', 'release'),
    find: "state = 'released',\n  attempt",
    put: "state = 'in-flight',\n  attempt",
    tests: [inMariadb('6: ')],
  },
  {
    name: 'mariadb: the owner settles a held record as if it had its lease',
    breaks: ['guarantee 3', 'store mysql'],
    file: file('mysql', 'complete'),
    find: "AND state = :from AND (state = 'held' OR lease_ends_at > {{now_ms}})",
    put: "AND :from <> '' AND (state = 'held' OR lease_ends_at > {{now_ms}})",
    tests: [inMariadb('3: ')],
  },
  {
    name: 'mariadb: a claim in a transaction does not lock the row that it reads',
    breaks: ['T48', 'store mysql', 'S6'],
    file: file('mysql', 'find-for-update'),
    find: '\nFOR UPDATE',
    put: '',
    tests: [
      ['test/transactions/isolation.test.ts', 'on MariaDB'],
      ['test/transactions/transactions.test.ts', 'on MariaDB'],
    ],
  },
  {
    name: 'sqlite: a live lease is taken over',
    breaks: ['guarantee 1', 'store sqlite', 'S20'],
    file: file('sqlite', 'acquire'),
    find: "WHEN state = 'in-flight' THEN lease_ends_at <= ms",
    put: "WHEN state = 'in-flight' THEN lease_ends_at <= ms + 60000",
    tests: [inSqlite('[15]: ')],
  },
  {
    name: 'sqlite: a takeover does not say that the operation was abandoned',
    breaks: ['guarantee 6', 'store sqlite', 'T39'],
    file: file('sqlite', 'acquire'),
    find: "THEN NOT is_new AND state = 'in-flight' ELSE abandoned END",
    put: 'THEN 0 ELSE abandoned END',
    tests: [inSqlite('6: ')],
  },
  {
    name: 'sqlite: a refused duplicate clears the reply',
    breaks: ['guarantee 4', 'store sqlite', 'T5'],
    file: file('sqlite', 'acquire'),
    find: 'CASE WHEN is_claimable THEN NULL ELSE reply END',
    put: 'NULL',
    tests: [inSqlite('[34]: ')],
  },
  {
    name: 'sqlite: a stale owner completes',
    breaks: ['guarantee 2', 'store sqlite', 'T3'],
    file: file('sqlite', 'complete'),
    find: "AND state = :from AND (state = 'held' OR lease_ends_at > (SELECT ms FROM clock))",
    put: 'AND state = :from',
    tests: [inSqlite('2: ')],
  },
  {
    name: 'sqlite: steps are joined as text',
    breaks: ['guarantee 7', 'store sqlite'],
    file: file('sqlite', 'save-step'),
    find: 'CAST(steps || :step AS BLOB)',
    put: 'steps || :step',
    tests: [inSqlite('[67]: ')],
  },
];
