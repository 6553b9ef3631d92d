import { type ContractCase } from 'nestjs-idempotency/testing';
import {
  AddIdempotencyLimits1764500000000,
  CreateIdempotencyRecords1763700000000,
  TypeOrmStore,
} from 'nestjs-idempotency/typeorm';
import { setTimeout as sleep } from 'node:timers/promises';
import { type SqlDatabase, type SqlDatabaseKind } from '../../support/sql-databases.js';
import { itKeeps } from './it-keeps.js';

const TICK_MS = 250;
const POOL = 16;

export function describeTypeOrmContract(
  { name, start, hasManySessions }: SqlDatabaseKind,
  cases: readonly ContractCase[],
): void {
  describe(`TypeOrmStore on ${name} keeps the contract`, () => {
    let database: SqlDatabase;
    let store: TypeOrmStore;
    let other: TypeOrmStore;

    beforeAll(async () => {
      database = await start();
      const migrations = [CreateIdempotencyRecords1763700000000, AddIdempotencyLimits1764500000000];
      const pool = { migrations, ...(hasManySessions && { poolSize: POOL }) };
      const dataSource = await database.connect(pool);
      await dataSource.runMigrations();
      store = new TypeOrmStore({ dataSource });
      other = new TypeOrmStore({
        // Without FOUND_ROWS, MySQL and MariaDB count changed rows, not those that were found.
        dataSource: hasManySessions
          ? await database.connect({ ...pool, extra: { flags: ['-FOUND_ROWS'] } })
          : dataSource,
        preparedStatements: false,
      });
    });

    afterAll(() => database.stop());

    itKeeps(
      cases,
      () => ({ store, other, tickMs: TICK_MS, elapse: (ms) => sleep(ms + 1) }),
      hasManySessions ? POOL : 8,
    );
  });
}
