import type { Fault } from '../fault.js';

const ENGINE_LOCKS = 'test/engine/locks.test.ts';
const MODULE = 'test/locks/module.test.ts';
const CONTRACT = 'test/locks/contract.test.ts';
const LOCKS = 'src/engine/locks.ts';
const CLAIM = 'src/engine/lock-claim.ts';
const ETCD = 'src/etcd/etcd-locks.ts';

/** Locks of lock services. */
export const LOCK_FAULTS: readonly Fault[] = [
  {
    name: 'the lock service that was given is not asked: the store keeps the locks',
    breaks: ['strategy lock'],
    file: 'src/engine/engine.ts',
    find: 'if (locks !== undefined && request.policy.isLock === true) return locks.begin(request);',
    put: '',
    tests: [ENGINE_LOCKS, MODULE],
  },
  {
    name: 'a handler is not known to be a lock when it is resolved',
    breaks: ['strategy lock'],
    file: 'src/handlers/options-check.ts',
    find: 'keepsReply: false, isLock: true,',
    put: 'keepsReply: false,',
    tests: [MODULE],
  },
  {
    name: 'a lock that comes after its caller was refused is kept',
    breaks: ['T40b', 'strategy lock'],
    file: LOCKS,
    find: 'if (held !== undefined) this.around.inBackground(giveUpLock(this.around, held));',
    put: '',
    tests: [ENGINE_LOCKS],
  },
  {
    name: 'calls of one process all stand in the queue of the service',
    breaks: ['strategy lock'],
    file: LOCKS,
    find: 'if (waitMs === 0) return false;',
    put: 'if (waitMs >= 0) return true;',
    tests: [ENGINE_LOCKS],
  },
  {
    name: 'a lock whose release failed is forgotten, so its process waits for itself',
    breaks: ['T1', 'strategy lock'],
    file: CLAIM,
    find: 'this.around.inBackground(settleLater(clock, GIVE_UP_AFTER_MS, again, settled, giveUp)),',
    put: 'this.around.inBackground(Promise.resolve().then(giveUp)),',
    tests: [ENGINE_LOCKS],
  },
  {
    name: 'a lock that was lost is told as if it had been held all along',
    breaks: ['T3', 'design 3.5'],
    file: CLAIM,
    find: 'return this.isLost ? LOST : STORED;',
    put: 'return STORED;',
    tests: [ENGINE_LOCKS],
  },
  {
    name: 'a call that nobody waits for takes the lock',
    breaks: ['T40b', 'strategy lock'],
    file: LOCKS,
    find: 'return request.isWanted?.() !== false;',
    put: 'return true;',
    tests: [ENGINE_LOCKS],
  },
  {
    name: 'a lease is set that a lock service does not heed',
    breaks: ['strategy lock'],
    file: 'src/handlers/options-check.ts',
    find: 'if (lease === undefined || keepsReply || locks?.decidesLease !== true) return;',
    put: 'if (locks !== null) return;',
    tests: [MODULE],
  },
  {
    name: 'etcd gives its lock to whoever asks',
    breaks: ['strategy lock'],
    file: ETCD,
    find: 'if (before === undefined) return true;',
    put: 'if (before !== null) return true;',
    tests: [[CONTRACT, 'etcd']],
  },
  {
    name: 'a lease in etcd is never renewed',
    breaks: ['T2', 'strategy lock'],
    file: ETCD,
    find: 'await lease.keepaliveOnce({ deadline: new Date(Date.now() + leaseMs) });',
    put: '',
    tests: [[CONTRACT, 'etcd']],
  },
  {
    name: 'who waits no longer keeps its place in the queue of etcd',
    breaks: ['T6', 'strategy lock'],
    file: ETCD,
    find: 'if (!(await this.isFirst(place, lock, request)) || signal.aborted) {\n        await lock.release();',
    put: 'if (!(await this.isFirst(place, lock, request)) || signal.aborted) {',
    tests: [[CONTRACT, 'etcd']],
  },
];
