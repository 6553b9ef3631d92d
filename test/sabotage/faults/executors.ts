import type { Fault } from '../fault.js';

const PG = 'test/sql/pg.test.ts';
const CLIENTS = 'test/sql/clients.test.ts';

/** Records over the application's own data layer. */
export const EXECUTOR_FAULTS: readonly Fault[] = [
  {
    name: 'SqlStore: work beside the transaction goes unnoticed',
    breaks: ['T62', 'design 7.6'],
    file: 'src/stores/sql/sql.store.ts',
    find: 'areBeside: () => isInTransaction(executor),',
    put: 'areBeside: () => !executor,',
    tests: [[PG, 'stays when the operation is undone']],
  },
  {
    name: 'SqlStore: an executor that sees nothing says nothing',
    breaks: ['T62', 'design 7.6'],
    file: 'src/stores/sql/sql.store.ts',
    find: 'this.unwatched.add(executor.name);',
    put: 'this.unwatched.delete(executor.name);',
    tests: [[CLIENTS, 'says so at boot']],
  },
  {
    name: 'SqlStore: operations wait for each other’s second connections',
    breaks: ['T80', 'design 7.6'],
    file: 'src/stores/sql/transaction-edge.ts',
    find: 'reject(notInTime());',
    put: 'notInTime();',
    tests: [[PG, 'does not use up the pool']],
  },
  {
    name: 'SqlStore: an operation is committed in name only',
    breaks: ['design 3.6', 'S6'],
    file: 'src/stores/sql/sql.transaction.ts',
    find: 'await this.end((open) => open.commit());',
    put: 'await this.end((open) => open.rollback());',
    tests: [[PG, '1: ']],
  },
  {
    name: 'SqlStore: code goes on with a transaction that has ended',
    breaks: ['design 3.6'],
    file: 'src/stores/sql/sql.transaction.ts',
    find: 'const isOpen = (): boolean => this.open === open;',
    put: 'const isOpen = (): boolean => open !== undefined;',
    tests: [[PG, '4: ']],
  },
  {
    name: 'SqlStore: a commit that fails is not told',
    breaks: ['T78', 'design 3.6'],
    file: 'src/stores/sql/open-transaction.ts',
    find: `            commit();
            await whole;`,
    put: '            commit();',
    tests: [[PG, '(1|5): ']],
  },
  {
    name: 'fromPg(): a handler writes with a client that was given back',
    breaks: ['T46'],
    file: 'src/stores/sql/own-connection.ts',
    find: 'if (!isOpen()) {',
    put: 'if (!isOpen) {',
    tests: [[CLIENTS, 'once the transaction has ended']],
  },
  {
    name: 'fromPg(): a handler ends the transaction of its operation',
    breaks: ['T81'],
    file: 'src/stores/sql/own-connection.ts',
    find: 'isQuery(name) && ENDS.test(textOf(args[0]))',
    put: 'isQuery(name) && textOf(args[0]) === name',
    tests: [[CLIENTS, 'does not end']],
  },
  {
    name: 'fromPg(): a single client mixes the transactions of concurrent calls',
    breaks: ['T46'],
    file: 'src/stores/sql/from-pg.ts',
    find: " && typeof totalCount === 'number'",
    put: " || typeof totalCount === 'number'",
    tests: [[CLIENTS, 'is refused with the remedy']],
  },
  {
    name: 'postgres: a session loses its own lock_timeout',
    breaks: ['T84', 'store postgres'],
    file: 'src/stores/sql/record-lock.ts',
    find: `"SELECT set_config('lock_timeout', current_setting('idempotency.lock_timeout'), true)";`,
    put: `"SELECT set_config('lock_timeout', '0', true)";`,
    tests: [[CLIENTS, 'has the lock_timeout']],
  },
  {
    name: 'SqlStore: a unit of work writes at the commit what was undone',
    breaks: ['S6', 'design 3.6'],
    file: 'src/stores/sql/sql.transaction.ts',
    find: '    await this.running.connection.undone?.();\n',
    put: '',
    tests: [[CLIENTS, 'what was undone']],
  },
];
