import { CreateIdempotencyRecords1763700000000 } from 'nestjs-idempotency/typeorm';
import { DataSource } from 'typeorm';
import { type ServerName, sqlOptions } from '../processes/support/open-store.js';
import { startMariadb } from '../support/servers/mariadb.js';
import { startPostgres } from '../support/servers/postgres.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { startRedis } from '../support/servers/redis.js';
import { violationsOf } from './checker.js';
import { LEASE_MS, type Soak, soak } from './soak.js';

/** Servers that lose nothing when they are killed: what is lost then is no fault of the store. */
const START: Readonly<Record<ServerName, () => Promise<PrivateServer>>> = {
  Redis: () => startRedis('--appendonly', 'yes', '--appendfsync', 'always'),
  PostgreSQL: async () => withTables('PostgreSQL', await startPostgres({ isDurable: true })),
  MariaDB: async () => withTables('MariaDB', await startMariadb({ isDurable: true })),
};

async function withTables(
  name: Exclude<ServerName, 'Redis'>,
  server: PrivateServer,
): Promise<PrivateServer> {
  const dataSource = new DataSource({
    ...sqlOptions(name, server.port),
    migrations: [CreateIdempotencyRecords1763700000000],
  });
  await dataSource.initialize();
  await dataSource.runMigrations();
  await dataSource.query('CREATE TABLE ledger (name varchar(100) PRIMARY KEY)');
  await dataSource.destroy();
  return server;
}

export interface Subject {
  readonly server: ServerName;
  readonly isTransaction: boolean;
}

/** A test that so many processes over a server keep what is promised, for so long. */
export function describeSoak(
  subjects: readonly Subject[],
  { ms, seed, processes }: Pick<Soak, 'ms' | 'seed' | 'processes'>,
): void {
  describe.each(subjects)(
    `${processes} processes over $server that are killed and paused, transaction: $isTransaction`,
    (given) => {
      let server: PrivateServer;

      beforeAll(async () => {
        server = await START[given.server]();
      }, 60_000);

      afterAll(() => server?.stop());

      it(
        'keep what is promised',
        async () => {
          const { history, faults, answers, crashes } = await soak(server, {
            ...given,
            seed,
            ms,
            processes,
          });
          const violations = violationsOf(history, { ...given, leaseMs: LEASE_MS });
          const operations = new Set(
            history.effects.map(({ principal, key }) => `${principal} ${key}`),
          );
          console.info(
            JSON.stringify({
              ...given,
              seed,
              calls: history.calls.length,
              operations: operations.size,
              effects: history.effects.length,
              sentUnrecorded: history.calls.filter(({ isUnrecorded }) => isUnrecorded).length,
              ...faults,
              answers,
              violations,
            }),
          );
          expect(violations).toEqual([]);
          expect(crashes).toEqual([]);
          expect(operations.size).toBeGreaterThan(10);
          expect(Object.keys(faults)).toContain('process killed');
        },
        ms + 180_000,
      );
    },
  );
}
