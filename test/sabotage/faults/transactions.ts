import type { Fault } from '../fault.js';

const BESIDE = 'src/stores/typeorm/second-connections.ts';
const COMMITS = 'src/stores/typeorm/commits.ts';
const COMMIT_TEST = 'test/transactions/commits.test.ts';
const STORE = 'src/stores/typeorm/typeorm.store.ts';
const TENANTS = 'test/transactions/tenants.test.ts';
const SECOND = 'test/transactions/second-connections.test.ts';

/** Faults at the edge of transactions. */
export const TRANSACTION_FAULTS: readonly Fault[] = [
  {
    name: 'transaction: work that its handler has committed and that then failed runs again',
    breaks: ['T81', 'design 3.6'],
    file: 'src/engine/undoing.ts',
    find: 'return (await holdCommitted(calls, transaction, claims)) ? cause : undefined;',
    put: 'return calls === undefined ? cause : undefined;',
    tests: [['test/transactions/ended-transactions.test.ts', 'and then fails, is held']],
  },
  {
    name: 'transaction: work that its handler has committed runs again if its failure is a result',
    breaks: ['T81', 'design 3.6'],
    file: 'src/engine/transactional-claim.ts',
    find: 'this.isUndoing = true;',
    put: '',
    tests: [['test/transactions/ended-transactions.test.ts', 'has an error for its result']],
  },
  {
    name: 'encryption: work that its handler has committed and that then failed runs again',
    breaks: ['T81', 'design 3.6'],
    file: 'src/encryption/sealed.store.ts',
    find: 'return (await this.transaction.holdCommitted?.(sealed)) ?? false;',
    put: 'return sealed === undefined;',
    tests: [['test/transactions/ended-transactions.test.ts', 'PostgreSQL, encrypted']],
  },
  {
    name: 'transaction: a handler that takes longer than the lease inside cannot be completed',
    breaks: ['T81', 'design 3.6'],
    file: 'src/stores/sql/transaction-records.ts',
    find: 'await this.records.keepClaim(claim.request);',
    put: 'await Promise.resolve(claim.request);',
    tests: [['test/transactions/ended-transactions.test.ts', 'does not bound']],
  },
  {
    name: 'transaction: what a handler does beside its transaction is not noticed',
    breaks: ['T62', 'design 7.6', 'S24'],
    file: BESIDE,
    find: 'return edge === undefined ? connect() : edge.connect(runner, connect);',
    put: 'return connect();',
    tests: [[SECOND, 'stays when the operation is undone']],
  },
  {
    name: 'transaction: what joins has a connection of its own',
    breaks: ['T62', 'design 7.6'],
    file: BESIDE,
    find: "if (!this.isOpen || this.edge.options.policy !== 'join') return undefined;",
    put: 'return undefined;',
    tests: [[SECOND, 'stays when the operation is undone']],
  },
  {
    name: 'transaction: operations wait for the connections of each other for ever',
    breaks: ['T80'],
    file: 'src/stores/sql/transaction-edge.ts',
    find: 'return within(take, giveBack, connectWithinMs, () => this.notInTime());',
    put: 'return take();',
    tests: [[SECOND, 'tells them why after the time-out']],
  },
  {
    name: 'transaction: duplicates of another process wait with a connection in their hands',
    breaks: ['T80'],
    file: 'src/engine/transactional-asking.ts',
    find: 'lockWaitMs: 0, scope',
    put: 'lockWaitMs: request.policy.waitMs, scope',
    tests: [[SECOND, 'leave the pool to others']],
  },
  {
    name: 'transaction: a deferred constraint is the error of no handler',
    breaks: ['T78', 'design 7.6'],
    file: COMMITS,
    find: 'if (!deferring.has(dataSource)) return undefined;',
    put: 'if (deferring.has(dataSource) || !deferring.has(dataSource)) return undefined;',
    tests: [[COMMIT_TEST, 'is the handler’s own error']],
  },
  {
    name: 'transaction: a constraint that fails at the commit is told as a store that is down',
    breaks: ['T78'],
    file: 'src/stores/sql/errors.ts',
    find: "? 'unknown' : 'work';",
    put: "? 'unknown' : 'unknown';",
    tests: [[COMMIT_TEST, 'came after the start']],
  },
  {
    name: 'transaction: a subscriber that fails after the commit makes it a failure',
    breaks: ['T78'],
    file: COMMITS,
    find: 'if (runner.isTransactionActive) throw error;',
    put: 'throw error;',
    tests: [[COMMIT_TEST, 'told afterwards']],
  },
  {
    name: 'transaction: nobody looks what became of a commit without an answer',
    breaks: ['T78'],
    file: 'src/engine/transactional-claim.ts',
    find: 'if (await isCommitted(calls, this.transaction, claims[0]!)) return undefined;',
    put: 'await isCommitted(calls, this.transaction, claims[0]!);',
    tests: [['test/transactions/outages.test.ts', 'PostgreSQL.*looks what became']],
  },
  {
    name: 'transaction: calls of two data sources meet in the process',
    breaks: ['T87'],
    file: 'src/engine/engine.ts',
    find: 'return places.begin(request, store, source);',
    put: 'return this.beginHere(request);',
    tests: [[TENANTS, 'from the option transaction']],
  },
  {
    name: 'transaction: the tenant of a call is not asked for',
    breaks: ['T87'],
    file: 'src/engine/engine.ts',
    find: 'if (store.ofCall !== undefined)',
    put: 'if (store.ofCall === undefined)',
    tests: [[TENANTS, 'is never mixed']],
  },
  {
    name: 'transaction: the rows of the first tenant are compared for all',
    breaks: ['T87', 'strategy version'],
    file: 'src/stores/typeorm/entity-resource.ts',
    find: 'return current === undefined ? this.findOwn() : Promise.resolve(this.in(current));',
    put: 'return this.last ? Promise.resolve(this.in(this.last)) : current ? Promise.resolve(this.in(current)) : this.findOwn();',
    tests: [[TENANTS, 'compared and set']],
  },
  {
    name: 'transaction: further data sources are not purged',
    breaks: ['T79'],
    file: STORE,
    find: 'if (place.dataSource.isInitialized) deleted',
    put: 'if (place === this.fixed) deleted',
    tests: [[TENANTS, 'are purged']],
  },
  {
    name: 'transaction: further data sources are not checked when the application boots',
    breaks: ['T79'],
    file: STORE,
    find: '      await checkTable(records, table, warn, TABLE);',
    put: '      if (source === undefined) await checkTable(records, table, warn, TABLE);',
    tests: [[TENANTS, 'are checked when']],
  },
];
