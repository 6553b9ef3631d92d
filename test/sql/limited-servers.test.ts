import { Controller, Post } from '@nestjs/common';
import { Idempotent, type IdempotentOperation, Operation } from 'nestjs-idempotency';
import { fromMysql2, fromPg, sqlMigration, SqlStore } from 'nestjs-idempotency/sql';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { createPool } from 'mysql2/promise';
import { randomBytes } from 'node:crypto';
import { Pool } from 'pg';
import { DataSource } from 'typeorm';
import { boot, PATIENT } from '../support/http.js';
import { startMariadb, mariadbUrl } from '../support/servers/mariadb.js';
import { sharedPostgres, type SharedServer } from '../support/servers/shared.js';

const REFUSED = /may read and write.*Grant SELECT, INSERT, UPDATE and DELETE/s;

describe('a database that may only be read', () => {
  let server: SharedServer;
  let owner: Pool;
  const role = `reader_${randomBytes(4).toString('hex')}`;

  beforeAll(async () => {
    server = await sharedPostgres();
    owner = new Pool({ connectionString: server.url });
    for (const statement of [...sqlMigration('postgres').up, `CREATE ROLE ${role}`])
      await owner.query(statement);
  });

  afterAll(async () => {
    await owner?.query(`DROP OWNED BY ${role}`);
    await owner?.query(`DROP ROLE ${role}`);
    await owner?.end();
    await server?.stop();
  });

  const startOverPg = async (options: string, table?: string): Promise<string[]> => {
    const pool = new Pool({ connectionString: server.url, options });
    const warnings: string[] = [];
    const store = new SqlStore({ executor: fromPg(pool), purge: false, ...(table && { table }) });
    try {
      await store.start((warning) => warnings.push(warning));
    } finally {
      await pool.end();
    }
    return warnings;
  };

  it.each([
    ['a role without any right', []],
    ['a role that may read', ['SELECT']],
    ['a role that may not change rows', ['SELECT', 'INSERT']],
  ])('is refused at boot: %s', async (_name, rights) => {
    for (const right of rights)
      await owner.query(`GRANT ${right} ON idempotency_records TO ${role}`);
    await expect(startOverPg(`-c role=${role}`)).rejects.toThrow(REFUSED);
  });

  it('is refused at boot: a session whose transactions are read-only, as on a standby', async () => {
    await expect(startOverPg('-c default_transaction_read_only=on')).rejects.toThrow(REFUSED);
    const dataSource = new DataSource({
      type: 'postgres',
      url: server.url,
      extra: { options: '-c default_transaction_read_only=on' },
    });
    await dataSource.initialize();
    const store = new TypeOrmStore({ dataSource, purge: false });
    await expect(Promise.resolve(store.start(() => undefined))).rejects.toThrow(REFUSED);
    await dataSource.destroy();
  });

  it('is refused at boot: a role that may not delete, and one that may not update', async () => {
    await owner.query(`GRANT SELECT, INSERT, UPDATE ON idempotency_records TO ${role}`);
    await expect(startOverPg(`-c role=${role}`)).rejects.toThrow(REFUSED);
    await owner.query(`REVOKE UPDATE ON idempotency_records FROM ${role}`);
    await owner.query(`GRANT DELETE ON idempotency_records TO ${role}`);
    await expect(startOverPg(`-c role=${role}`)).rejects.toThrow(REFUSED);
  });

  it('is refused at boot: a table that would take two claims, and one where none is kept', async () => {
    const LIKE = 'LIKE idempotency_records INCLUDING DEFAULTS';
    await owner.query(`CREATE TABLE twice (${LIKE})`);
    await expect(startOverPg('', 'twice')).rejects.toThrow(/no unique .* constraint.*sqlMigration/);
    await owner.query(`CREATE TABLE never (${LIKE}, PRIMARY KEY (id))`);
    await owner.query('CREATE RULE never AS ON UPDATE TO never DO INSTEAD NOTHING');
    await expect(startOverPg('', 'never')).rejects.toThrow(/sqlMigration/);
  });

  it('is warned of at boot: a table that is empty after a crash', async () => {
    await owner.query(
      'CREATE UNLOGGED TABLE crashing (LIKE idempotency_records, PRIMARY KEY (id))',
    );
    expect(await startOverPg('', 'crashing')).toEqual([
      expect.stringMatching(/finished operations run again.*SET LOGGED/),
    ]);
  });

  it('is refused at boot: a session whose statements have no time', async () => {
    const locking = await owner.connect();
    await locking.query('BEGIN');
    await locking.query('LOCK TABLE idempotency_records');
    try {
      await expect(startOverPg('-c statement_timeout=20ms')).rejects.toThrow(
        /Raise statement_timeout/,
      );
    } finally {
      await locking.query('ROLLBACK');
      locking.release();
    }
  });

  it('leaves nothing of the check behind, where it may be written', async () => {
    await owner.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_records TO ${role}`);
    expect(await startOverPg(`-c role=${role}`)).toEqual([]);
    expect((await owner.query('SELECT 1 FROM idempotency_records')).rowCount).toBe(0);
  });
});

test('a reply that MariaDB never takes is a tombstone at once; no autocommit or no transactions stop the boot', async () => {
  const server = await startMariadb();
  const url = mariadbUrl(server.port);
  const owner = createPool({ uri: url });
  for (const statement of [...sqlMigration('mysql').up, 'SET GLOBAL max_allowed_packet = 1048576'])
    await owner.query(statement);
  const pool = createPool({ uri: url });
  let runs = 0;
  let charges = 0;
  @Controller()
  class Reports {
    @Post('reports')
    @Idempotent({ transaction: true })
    report(): object {
      runs += 1;
      return { text: 'x'.repeat(900_000) };
    }

    @Post('charges')
    @Idempotent()
    async charge(@Operation() op: IdempotentOperation): Promise<object> {
      await op.step('charge', () => {
        charges += 1;
        return 'x'.repeat(900_000);
      });
      if (charges === 1) throw new Error('out of order');
      return { charges };
    }

    @Post('charges/within')
    @Idempotent({ transaction: true })
    async chargeWithin(@Operation() op: IdempotentOperation): Promise<object> {
      const { length } = await op.step('charge', () => 'x'.repeat(900_000));
      return { length };
    }
  }
  const store = new SqlStore({ executor: fromMysql2(pool), purge: false });
  const shop = await boot('express', {
    controllers: [Reports],
    idempotency: { ...PATIENT, store },
  });
  expect(shop.complaints.join('\n')).toMatch(/max_allowed_packet is 1048576.*maxResponseBytes/);
  const first = await shop.send('/reports', { key: 'a' });
  expect([first.status, first.bytes.length > 900_000]).toEqual([201, true]);
  expect((await shop.send('/reports', { key: 'a' })).json()).toMatchObject({
    code: 'IDEMPOTENCY_REPLY_NOT_KEPT',
  });
  expect(runs).toBe(1);
  // A result of a step is not retried for ever either: its step has run.
  expect((await shop.send('/charges', { key: 'a' })).status).toBe(500);
  expect((await shop.send('/charges', { key: 'a' })).json()).toMatchObject({
    code: 'IDEMPOTENCY_OUTCOME_UNKNOWN',
  });
  expect(charges).toBe(1);
  expect((await shop.send('/charges/within', { key: 'a' })).json()).toEqual({ length: 900_000 });
  expect(shop.complaints.join('\n')).toMatch(/step.*charge.*larger than the store takes/);
  await shop.close();
  await pool.end();

  // A server without transactions, in two ways.
  const startAgain = async (): Promise<void> => {
    const again = createPool({ uri: url, connectionLimit: 1 });
    const executor = fromMysql2(again);
    try {
      await new SqlStore({ executor, purge: false }).start(() => undefined);
    } finally {
      await again.end();
    }
  };
  await owner.query('SET GLOBAL autocommit = 0');
  await expect(startAgain()).rejects.toThrow(/autocommit = 0.*init_connect/);
  await owner.query('SET GLOBAL autocommit = 1');
  await owner.query('ALTER TABLE idempotency_records ROW_FORMAT = DEFAULT, ENGINE = MyISAM');
  await expect(startAgain()).rejects.toThrow(/engine is MyISAM.*ENGINE = InnoDB/);
  await owner.end();
  await server.stop();
});
