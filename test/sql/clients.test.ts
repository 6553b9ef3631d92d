import { drizzle } from 'drizzle-orm/node-postgres';
import {
  Kysely,
  PostgresAdapter,
  DummyDriver,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from 'kysely';
import knex, { type Knex } from 'knex';
import { createConnection } from 'mysql2';
import { IdempotencyConfigurationError } from 'nestjs-idempotency';
import {
  currentTransaction,
  fromDrizzle,
  fromKnex,
  fromKysely,
  fromMikroOrm,
  fromMysql2,
  fromPg,
  fromPrisma,
  fromSequelize,
  type SqlExecutor,
  SqlStore,
} from 'nestjs-idempotency/sql';
import { Client, Pool, type PoolClient } from 'pg';
import { claimOf } from '../support/claims.js';
import { PG } from './support/drivers.js';
import { type Layers, openTwice } from './support/layer.js';

const kysely = new Kysely<object>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
});

describe('a client that cannot begin transactions of its own', () => {
  const never: never = undefined as never;
  const mysql = createConnection({ host: '127.0.0.1', port: 1, connectTimeout: 1 });
  mysql.on('error', () => undefined);

  afterAll(() => mysql.destroy());

  it.each<[string, () => unknown, RegExp]>([
    ['a Client of pg', () => fromPg(new Client() as never), /fromPg\(new Pool\(options\)\)/],
    ['nothing', () => fromPg(never), /a Pool of pg/],
    ['a connection of mysql2', () => fromMysql2(mysql as never), /fromMysql2\(createPool\(/],
    ['Drizzle over a Client', () => fromDrizzle(drizzle(new Client())), /pass drizzle\(\) a pool/],
    [
      'a transaction of Drizzle',
      () => fromDrizzle({ transaction: () => 0, rollback: () => 0 }),
      /what drizzle\(\) returns/,
    ],
    ['no Knex', () => fromKnex({} as never), /what knex\(\) returns/],
    [
      'a transaction of Knex',
      () =>
        fromKnex({
          client: { acquireConnection: () => 0, driverName: 'pg' },
          isTransaction: true,
        } as never),
      /begins a transaction of its own/,
    ],
    [
      'Knex on another database',
      () => fromKnex({ client: { acquireConnection: () => 0, driverName: 'oracledb' } } as never),
      /client: 'pg'/,
    ],
    ['no Kysely', () => fromKysely({} as never), /a Kysely/],
    ['no MikroORM', () => fromMikroOrm({ em: {} }), /MikroORM\.init\(\)/],
    ['no Sequelize', () => fromSequelize({} as never), /a Sequelize/],
    [
      'Sequelize with another dialect',
      () =>
        fromSequelize({
          getDialect: () => 'mariadb',
          connectionManager: { getConnection: () => 0 },
          transaction: 0,
        }),
      /dialect 'mysql' with mysql2/,
    ],
    ['no PrismaClient', () => fromPrisma({} as never), /fromPrisma\(new PrismaClient/],
    [
      'a transaction of Prisma',
      () => fromPrisma({ $transaction: () => 0, $queryRawUnsafe: () => 0 } as never),
      /begins a transaction of its own/,
    ],
    [
      'Prisma without a driver adapter',
      () => fromPrisma({ $connect: () => 0, $queryRawUnsafe: () => 0 } as never),
      /new PrismaPg\(/,
    ],
    [
      'Prisma on another database',
      () =>
        fromPrisma({
          $connect: () => 0,
          $queryRawUnsafe: () => 0,
          _engineConfig: { adapter: { provider: 'sqlite' } },
        } as never),
      /adapter for sqlite.*PostgreSQL, MySQL or MariaDB/,
    ],
    ['no executor', () => new SqlStore({ executor: new Pool() as never }), /fromPg\(pool\)/],
    [
      'an unknown dialect',
      () =>
        new SqlStore({
          executor: { name: 'own', client: 0, query: () => never, transaction: () => never },
        }),
      /dialect of SqlStore/,
    ],
  ])('is refused with the remedy: %s', (_name, make, remedy) => {
    expect(make).toThrow(IdempotencyConfigurationError);
    expect(make).toThrow(remedy);
  });

  it('is refused at boot: Prisma on MySQL, with statements that have no savepoints', async () => {
    const prismaWith = (originalCode: string): SqlExecutor =>
      fromPrisma({
        $connect: () => 0,
        $queryRawUnsafe: () => 0,
        $executeRawUnsafe: () => 0,
        $transaction: () => {
          const driverAdapterError = { cause: { kind: 'mysql', originalCode } };
          const error = Object.assign(new Error(), { code: 'P2010', meta: { driverAdapterError } });
          return Promise.reject(error);
        },
        _engineConfig: { adapter: { provider: 'mysql' } },
      } as never);
    await expect(prismaWith('1295').start!()).rejects.toThrow(/useTextProtocol: true/);
    await expect(prismaWith('1040').start!()).resolves.toBeUndefined();
  });

  it('knows the dialects of Kysely', () => {
    expect(fromKysely(kysely).dialect).toBe('postgres');
    expect(fromKysely(kysely, { dialect: 'mysql' }).dialect).toBe('mysql');
  });
});

describe('an executor that cannot see what is written beside its transactions', () => {
  const own: SqlExecutor = {
    name: 'fromOwn()',
    dialect: 'postgres',
    client: {},
    query: () => Promise.resolve({}),
    transaction: () => Promise.reject(new Error('not connected')),
  };

  it('says so at boot, once, unless that is allowed', async () => {
    const warnings: string[] = [];
    const store = new SqlStore({ executor: own, purge: false });
    store.checkSource(undefined, 'allow');
    store.checkSource(undefined, 'warn');
    await store.start((warning) => warnings.push(warning));
    store.checkSource(undefined, 'warn');
    expect(warnings).toEqual([expect.stringMatching(/fromOwn\(\) cannot see.*op\.tx.*watch\(\)/)]);
  });

  it('is refused where such work is to be refused, also in a source that a call names', async () => {
    const store = new SqlStore({ executor: own, sources: { own }, purge: false });
    for (const source of [undefined, 'own']) {
      expect(() => store.checkSource(source, 'refuse')).toThrow(IdempotencyConfigurationError);
      const request = { source, lockWaitMs: 0, secondConnection: 'refuse' } as const;
      await expect(store.beginTransaction(request)).rejects.toThrow(/watch\(\)/);
    }
    expect(() => store.checkSource(undefined, 'join')).toThrow(/op\.tx/);
  });
});

describe('the client of a transaction', () => {
  let layers: Layers;
  let store: SqlStore;

  beforeAll(async () => {
    layers = await openTwice(PG, 2);
    store = new SqlStore({ executor: layers.layer.executor, purge: false });
  });

  afterAll(() => layers?.stop());

  const begin = async () => {
    const transaction = await store.beginTransaction({ source: undefined, lockWaitMs: 0 });
    await transaction.acquire(claimOf());
    return { transaction, tx: transaction.manager as unknown as PoolClient };
  };

  it('is refused once the transaction has ended, because it may be in another one', async () => {
    const { transaction, tx } = await begin();
    const { query } = tx;
    await transaction.commit();
    expect(() => query('SELECT 1')).toThrow('has ended');
    expect(() => tx.query('SELECT 1')).toThrow('has ended');
  });

  it('of Drizzle sends nothing once the transaction has ended', async () => {
    const executor = fromDrizzle(drizzle(layers.layer.executor.client as Pool));
    const insertion = "INSERT INTO payments VALUES ('late')";
    const late = await executor.transaction(({ tx }) =>
      Promise.resolve(() => Promise.resolve(tx.execute(insertion))),
    );
    await expect(late()).rejects.toThrow(/Failed query|has ended/);
    expect(await layers.layer.query("SELECT id FROM payments WHERE id = 'late'")).toEqual([]);
  });

  it('of Knex is left alone by the store once the handler has ended the transaction', async () => {
    const { connectionString } = (layers.layer.executor.client as Pool).options;
    const db = knex({ client: 'pg', connection: connectionString!, pool: { min: 0, max: 1 } });
    const statement = { name: 'one', text: 'SELECT 1', values: [], returnsRows: true };
    await fromKnex(db).transaction(async (connection) => {
      await expect(connection.query(statement)).resolves.toBeDefined();
      await (connection.tx as Knex.Transaction).commit();
      await expect(connection.query(statement)).rejects.toThrow(/ended before its handler/);
    });
    await db.destroy();
  });

  it.each(['COMMIT', ' rollback ', 'END', 'BEGIN', 'START TRANSACTION'])(
    'does not end the transaction: %s',
    async (statement) => {
      const { transaction, tx } = await begin();
      expect(() => tx.query(statement)).toThrow('belongs to the operation');
      expect(() => tx.query({ text: statement })).toThrow('belongs to the operation');
      expect(() => tx.release()).toThrow('belongs to the operation');
      await tx.query('SAVEPOINT own');
      await tx.query('ROLLBACK TO SAVEPOINT own');
      await transaction.rollback();
    },
  );

  it('has the lock_timeout that the application has set for the session', async () => {
    const { transaction, tx } = await begin();
    await tx.query("SELECT set_config('lock_timeout', '4321ms', false)");
    await transaction.commit();
    const later = await Promise.all([begin(), begin()]);
    const shown = await Promise.all(
      later.map(
        async ({ tx: client }) =>
          (await client.query<{ lock_timeout: string }>('SHOW lock_timeout')).rows[0]!.lock_timeout,
      ),
    );
    for (const { transaction: each } of later) await each.rollback();
    expect(shown).toContain('4321ms');
  });

  it('is nobody else’s: code beside the operation finds none', async () => {
    const { transaction } = await begin();
    expect(currentTransaction(store)).toBeUndefined();
    transaction.run(() => {
      expect(currentTransaction(store)).toBe(transaction.manager);
      expect(currentTransaction(layers.other.executor)).toBeUndefined();
    });
    await transaction.rollback();
  });
  it('is told to write what it has put off, and to forget what was undone', async () => {
    const { executor } = layers.layer;
    const told: string[] = [];
    const unitOfWork: SqlExecutor = {
      ...executor,
      transaction: (work) =>
        executor.transaction((connection) =>
          work({
            ...connection,
            flush: async () => void told.push(await Promise.resolve('flush')),
            undone: () => void told.push('undone'),
          }),
        ),
    };
    const putsOff = new SqlStore({ executor: unitOfWork, purge: false });
    const transaction = await putsOff.beginTransaction({ source: undefined, lockWaitMs: 0 });
    await transaction.acquire(claimOf());
    await transaction.checkWork!();
    await transaction.undoWork();
    await transaction.rollback();
    expect(told).toEqual(['flush', 'undone']);
  });
});
