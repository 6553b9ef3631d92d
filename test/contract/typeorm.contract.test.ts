import { type ContractCase, storeContract } from 'nestjs-idempotency/testing';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { setTimeout as sleep } from 'node:timers/promises';
import { MARIADB, PGLITE, POSTGRES, type SqlDatabase, SQLITE } from '../support/sql-databases.js';

const TICK_MS = 200;

const CASES = storeContract.map(({ guarantee, name, run }) => ({
  name: `${guarantee}: ${name}`,
  run,
}));

describe.each([POSTGRES, MARIADB, PGLITE, SQLITE])(
  'TypeOrmStore on $name keeps the contract',
  ({ start, hasManySessions }) => {
    let database: SqlDatabase;
    let store: TypeOrmStore;
    let other: TypeOrmStore;

    beforeAll(async () => {
      database = await start();
      const dataSource = await database.connect();
      await dataSource.runMigrations();
      store = new TypeOrmStore({ dataSource });
      other = new TypeOrmStore({
        // Without FOUND_ROWS, MySQL and MariaDB count changed rows, not those that were found.
        dataSource: hasManySessions
          ? await database.connect({ extra: { flags: ['-FOUND_ROWS'] } })
          : dataSource,
        preparedStatements: false,
      });
    });

    afterAll(async () => {
      await database.stop();
    });

    it.each<{ name: string; run: ContractCase['run'] }>(CASES)('$name', async ({ run }) => {
      const elapse = (ms: number): Promise<void> => sleep(ms + 1);
      await expect(run({ store, other, tickMs: TICK_MS, elapse })).resolves.toBeUndefined();
    });
  },
);
