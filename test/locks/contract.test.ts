import { storeLocks } from '../../src/engine/store-locks.js';
import { MemoryStore } from '../../src/stores/memory/index.js';
import {
  FaultInjectingStore,
  hang,
  LOCK_GUARANTEES,
  lockContract,
} from '../../src/testing/index.js';
import { itLocks } from './support/it-locks.js';
import { lockHarness } from './support/lock-servers.js';

const LEASE_MS = 2_000;

describe('locks in memory keep the contract', () => {
  const store = new MemoryStore();
  const open = () => storeLocks({ store });
  const harness = {
    locks: open(),
    other: open(),
    leaseMs: LEASE_MS,
    mortal: () => {
      const faulty = new FaultInjectingStore(store);
      const cutOff = (): void => {
        for (const verb of ['acquire', 'extend', 'release'] as const) faulty.always(verb, hang());
      };
      return Promise.resolve({ locks: storeLocks({ store: faulty }), cutOff });
    },
  };

  itLocks(() => harness);

  test('with cases for every guarantee, each with a name of its own', () => {
    const numbers = new Set(lockContract.map(({ guarantee }) => String(guarantee)));
    expect([...numbers].sort()).toEqual(Object.keys(LOCK_GUARANTEES).sort());
    expect(new Set(lockContract.map(({ name }) => name)).size).toBe(lockContract.length);
  });
});

describe('locks in etcd keep the contract', () => {
  let harness: Awaited<ReturnType<typeof lockHarness>>;
  beforeAll(async () => {
    harness = await lockHarness('etcd', LEASE_MS);
  }, 60_000);
  afterAll(() => harness?.stop());

  itLocks(() => harness);
});
