import type { Fault } from '../fault.js';

const LIMITS = 'test/protection/limits.test.ts';
const MEMORY = 'test/contract/memory.contract.test.ts';
const REDIS = 'test/contract/redis.contract.test.ts';
const REDIS_LIMITS = 'test/redis/limits.test.ts';
const SQL = 'test/contract/typeorm.contract.test.ts';
const TRANSACTIONS = 'test/transactions/limits.test.ts';
const CLOCK_STEPS = 'test/contract/clock-steps.test.ts';
const SWAGGER = 'test/swagger/answers.test.ts';

/** What one caller may have. */
export const LIMITS_FAULTS: readonly Fault[] = [
  {
    name: 'limits on a store that does not keep them are taken for granted',
    breaks: ['T99'],
    file: 'src/idempotency.module.ts',
    find: 'if (this.store.prepareLimits === undefined) {',
    put: 'if (this.store === undefined) {',
    tests: [[LIMITS, 'stop the application']],
  },
  {
    name: 'every caller counts as the same',
    breaks: ['T99'],
    file: 'src/calls/callers.ts',
    find: 'bucket: sha256(JSON.stringify(name))',
    put: 'bucket: sha256(name[0])',
    tests: [[LIMITS, 'each caller alone']],
  },
  {
    name: 'each record of a call counts',
    breaks: ['T99'],
    file: 'src/calls/operations.ts',
    find: 'one === known ? this.counted(call, one.request) : one.request',
    put: 'this.counted(call, { ...one.request, policy: { ...one.request.policy, keepsReply: true } })',
    tests: [[LIMITS, 'count a call once']],
  },
  {
    name: 'a refusal by a limit does not wait for the window',
    breaks: ['T99'],
    file: 'src/engine/answers.ts',
    find: 'Math.max(request.policy.retryAfterMs, retryAfterMs)',
    put: 'request.policy.retryAfterMs',
    tests: [[LIMITS, 'tell when there is room']],
  },
  {
    name: 'the memory store counts leases of owners that died',
    breaks: ['T99', 'guarantee 9', 'store memory'],
    file: 'src/stores/memory/buckets.ts',
    find: 'bucket.inFlight.size >= inFlight && bucket.countInFlight(now) >= inFlight',
    put: 'bucket.inFlight.size >= inFlight',
    tests: [MEMORY],
  },
  {
    name: 'the memory store keeps every caller for good',
    breaks: ['T99', 'store memory'],
    file: 'src/stores/memory/buckets.ts',
    find: '        this.byId.delete(bucket.id);\n',
    put: '',
    tests: [[LIMITS, 'are forgotten']],
  },
  {
    name: 'Redis refuses what was claimed before',
    breaks: ['T99', 'guarantee 9', 'store redis'],
    file: 'src/stores/redis/lua/acquire.lua',
    find: 'if KEYS[2] and new_for ~= -2 then',
    put: 'if KEYS[2] then',
    tests: [[REDIS, '9: limits']],
  },
  {
    name: 'Redis counts what was released',
    breaks: ['T99', 'guarantee 9', 'store redis'],
    file: 'src/stores/redis/lua/release.lua',
    find: 'if KEYS[2] then leave(KEYS[2], KEYS[1]) end\n',
    put: '',
    tests: [[REDIS, '9: limits']],
  },
  {
    name: 'Redis does not count a lease that was renewed',
    breaks: ['T99', 'guarantee 9', 'store redis'],
    file: 'src/stores/redis/lua/extend.lua',
    find: 'if KEYS[2] then enter(KEYS[2], KEYS[1], record.lease_ms, 0) end\n',
    put: '',
    tests: [[REDIS, '9: limits']],
  },
  {
    name: 'Redis counts on when its clock was set back',
    breaks: ['T99', 'T96', 'store redis'],
    file: 'src/stores/redis/lua/bucket.lua',
    find: '  return written and tonumber(written) > now_ms() + CLOCK_SLACK_MS\n',
    put: '  return false\n',
    tests: [[REDIS_LIMITS, 'set back']],
  },
  {
    name: 'a Cluster lets a claim stand that its bucket has no room for',
    breaks: ['T99', 'guarantee 9', 'store redis'],
    file: 'src/stores/redis/redis-buckets.ts',
    find: 'if (refusal.length > 0) {',
    put: 'if (refusal.length > 9) {',
    tests: [[REDIS_LIMITS, 'takes for one node']],
  },
  {
    name: 'a Cluster is asked for a bucket only when the record was claimed',
    breaks: ['T99', 'store redis'],
    file: 'src/stores/redis/redis-buckets.ts',
    find: 'const peeked = isLimited ? this.peek(bucket, inFlight, newKeys) : [];\n    const answer = (await claim()) as readonly unknown[];\n',
    put: 'const answer = (await claim()) as readonly unknown[];\n    const peeked = isLimited ? this.peek(bucket, inFlight, newKeys) : [];\n',
    tests: [[REDIS_LIMITS, 'at the same time']],
  },
  {
    name: 'PostgreSQL counts leases from before its clock was set back',
    breaks: ['T99', 'T96', 'store postgres'],
    file: 'src/stores/sql/statements/postgres/acquire.sql',
    find: '          AND lease_ends_at - {{now_ms}} <= lease_ms\n        LIMIT',
    put: '        LIMIT',
    tests: [[CLOCK_STEPS, 'limits in PostgreSQL']],
  },
  {
    name: 'PostgreSQL lets a transaction run without a slot',
    breaks: ['T99', 'store postgres'],
    file: 'src/stores/sql/statements/postgres/acquire.sql',
    find: "CASE WHEN has_slot THEN 'acquired' ELSE 'limited' END",
    put: "'acquired'",
    tests: [[TRANSACTIONS, 'PostgreSQL.*as many operations run']],
  },
  {
    name: 'PostgreSQL counts an issued record as known',
    breaks: ['T99', 'guarantee 9', 'store postgres'],
    file: 'src/stores/sql/statements/postgres/acquire.sql',
    find: "WHEN expires_at <= {{now_ms}} OR state = 'issued' THEN\n      CASE WHEN (SELECT is_there FROM room) THEN 'claimable' ELSE 'limited' END",
    put: "WHEN expires_at <= {{now_ms}} OR state = 'issued' THEN 'claimable'",
    tests: [[SQL, 'PostgreSQL.*limits: counts']],
  },
  {
    name: 'MariaDB claims without looking for room',
    breaks: ['T99', 'guarantee 9', 'store mysql'],
    file: 'src/stores/sql/statements/mysql/acquire-limited.sql',
    find: 'WHERE (:in_flight = 0 OR :in_flight > (',
    put: 'WHERE (:in_flight >= 0 OR :in_flight > (',
    tests: [[SQL, 'MariaDB.*limits: ']],
  },
  {
    name: 'MariaDB keeps a slot when the transaction is over',
    breaks: ['T99', 'store mysql'],
    file: 'src/stores/sql/record-lock.ts',
    find: 'const names = slot === null ? [name]',
    put: 'const names = slot !== undefined ? [name]',
    tests: [[TRANSACTIONS, 'MariaDB.*as many operations run']],
  },
  {
    name: 'SQLite takes a new record beyond the limit',
    breaks: ['T99', 'guarantee 9', 'store sqlite'],
    file: 'src/stores/sql/statements/sqlite/acquire.sql',
    find: 'WHEN is_new THEN :must_be_issued = 0 AND (SELECT is_there FROM room)',
    put: 'WHEN is_new THEN :must_be_issued = 0',
    tests: [[SQL, 'SQLite.*limits: ']],
  },
  {
    name: 'a table without columns for limits is found out by the first call',
    breaks: ['T99'],
    file: 'src/stores/typeorm/typeorm.store.ts',
    find: '      await checkTable(records, table, warn, LIMITS);\n',
    put: '',
    tests: ['test/contract/typeorm-boot.test.ts'],
  },
  {
    name: 'API descriptions are silent about limits',
    breaks: ['T99'],
    file: 'src/swagger/operations.ts',
    find: '...(isLimited ? [',
    put: '...(isLimited && layers.length > 9 ? [',
    tests: [[SWAGGER, 'limits']],
  },
];
