import { PrismaPg } from '@prisma/adapter-pg';
import type { ColumnBaseConfig, ColumnDataType } from 'drizzle-orm';
import { getTableConfig as mysqlConfig, type MySqlColumn } from 'drizzle-orm/mysql-core';
import { getTableConfig as postgresConfig, type PgColumn } from 'drizzle-orm/pg-core';
import knexOf from 'knex';
import { createPool } from 'mysql2/promise';
import { fromMysql2, fromPg, SqlStore } from 'nestjs-idempotency/sql';
import { CreateIdempotencyRecords1763700000000 } from 'nestjs-idempotency/typeorm';
import { readFileSync } from 'node:fs';
import { Pool } from 'pg';
import { DataSource } from 'typeorm';
import { idempotencyRecords as mysqlRecords } from '../../migrations/drizzle.mysql.js';
import { idempotencyRecords as postgresRecords } from '../../migrations/drizzle.postgres.js';
import { down, up } from '../../migrations/knex.js';
import { claimOf } from '../support/claims.js';
import { sharedMariadb, sharedPostgres, type SharedServer } from '../support/servers/shared.js';
import { prismaOf } from './support/prisma.js';

/** A column in words: its name, its type, whether it may be empty and whether it is the key. */
type Described = readonly [name: string, type: string, nullable: boolean, key: boolean];

/** What the databases call the types that Drizzle and Prisma have other names for. */
const TYPES: readonly (readonly [RegExp, string])[] = [
  [/^character varying/, 'varchar'],
  [/^(int|bigint)\(\d+\)$/, '$1'],
  [/^tinyint\(1\)$/, 'boolean'],
  [/^int$/, 'integer'],
];

function typeOf(type: string): string {
  return TYPES.reduce((known, [pattern, name]) => known.replace(pattern, name), type);
}

interface Row {
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean | number;
  readonly key: boolean | number;
}

function described(rows: readonly Row[]): Described[] {
  return rows.map(({ name, type, nullable, key }) => [name, typeOf(type), !!nullable, !!key]);
}

type Column = ColumnBaseConfig<ColumnDataType, string>;

function ofDrizzle(columns: readonly (PgColumn<Column> | MySqlColumn<Column>)[]): Described[] {
  return columns.map((column) => [
    column.name,
    typeOf(column.getSQLType()),
    !column.notNull,
    column.primary,
  ]);
}

const NATIVE: Readonly<Record<string, string>> = {
  Int: 'integer',
  BigInt: 'bigint',
  Boolean: 'boolean',
};

/** The fields of a model, by the attributes that say how the database has them. */
function ofPrisma(file: string): Described[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.flatMap((line): Described[] => {
    const [, field, type, optional, attributes = ''] =
      /^ {2}(\w+) +(\w+)(\??)(.*)$/.exec(line) ?? [];
    if (field === undefined) return [];
    const name = /@map\("(\w+)"\)/.exec(attributes)?.[1] ?? field;
    const native = /@db\.(\w+(\(\d+\))?)/.exec(attributes)?.[1]?.toLowerCase() ?? NATIVE[type!]!;
    return [[name, native, optional === '?', attributes.includes('@id')]];
  });
}

describe('the table of the records on PostgreSQL', () => {
  let server: SharedServer;
  let pool: Pool;

  beforeAll(async () => {
    server = await sharedPostgres();
    pool = new Pool({ connectionString: server.url, max: 2 });
  });

  afterAll(async () => {
    await pool?.end();
    await server?.stop();
  });

  const table = async (): Promise<Described[]> => {
    const { rows } = await pool.query<Row>(`
      SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, NOT a.attnotnull AS nullable,
        EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = a.attrelid AND i.indisprimary
          AND a.attnum = ANY (i.indkey)) AS key
      FROM pg_attribute AS a
      WHERE a.attrelid = 'idempotency_records'::regclass AND a.attnum > 0 ORDER BY a.attnum`);
    return described(rows);
  };

  const indexes = async (): Promise<string[]> => {
    const { rows } = await pool.query<{ indexname: string }>(
      "SELECT indexname FROM pg_indexes WHERE tablename = 'idempotency_records' ORDER BY indexname",
    );
    return rows.map(({ indexname }) => indexname);
  };

  it('is the same by each tool, and its schemas for Drizzle and Prisma describe it', async () => {
    const create = {
      async file() {
        await pool.query(readFileSync('migrations/postgres.sql', 'utf8'));
        return () => pool.query('DROP TABLE idempotency_records');
      },
      async knex() {
        const knex = knexOf({ client: 'pg', connection: server.url });
        await up(knex);
        return async () => {
          await down(knex);
          await knex.destroy();
        };
      },
      async typeorm() {
        const migrations = [CreateIdempotencyRecords1763700000000];
        const dataSource = new DataSource({ type: 'postgres', url: server.url, migrations });
        await dataSource.initialize();
        await dataSource.runMigrations();
        return async () => {
          await dataSource.undoLastMigration();
          await dataSource.destroy();
        };
      },
    };
    for (const [name, run] of Object.entries(create)) {
      const undo = await run();
      const { columns, indexes: own } = postgresConfig(postgresRecords);
      expect([name, ofDrizzle(columns)]).toEqual([name, await table()]);
      expect(ofPrisma('migrations/prisma.postgres.prisma')).toEqual(await table());
      expect(await indexes()).toEqual(['idempotency_records_pkey', own[0]!.config.name]);
      await undo();
    }
  });

  it('is read by the model of Prisma', async () => {
    await pool.query(readFileSync('migrations/postgres.sql', 'utf8'));
    const store = new SqlStore({ executor: fromPg(pool), purge: false });
    const claim = { ...claimOf(), label: 'order 17' };
    await store.acquire(claim);
    await store.hold({ ...claim, reason: 'ask the bank' });
    const { schema, PrismaClient } = prismaOf('records.postgres');
    const model = readFileSync('migrations/prisma.postgres.prisma', 'utf8');
    expect(schema).toContain(model.slice(model.indexOf('model ')).trim());
    const adapter = new PrismaPg({ connectionString: server.url, max: 1 });
    const prisma = new PrismaClient({ adapter }) as unknown as {
      readonly idempotencyRecord: {
        findMany(args: object): Promise<{ label: Uint8Array; reason: Uint8Array }[]>;
      };
      $disconnect(): Promise<void>;
    };
    const [record] = await prisma.idempotencyRecord.findMany({ where: { state: 'held' } });
    expect([record!.label, record!.reason].map((bytes) => Buffer.from(bytes).toString())).toEqual([
      'order 17',
      'ask the bank',
    ]);
    await prisma.$disconnect();
  });
});

describe('the table of the records on MariaDB', () => {
  let server: SharedServer;

  beforeAll(async () => {
    server = await sharedMariadb();
  });

  afterAll(() => server?.stop());

  it('is described by its schemas for Drizzle and Prisma', async () => {
    const pool = createPool({ uri: server.url, multipleStatements: true });
    await pool.query(readFileSync('migrations/mysql.sql', 'utf8'));
    const [rows] = await pool.query(`
      SELECT column_name AS name, column_type AS type, is_nullable = 'YES' AS nullable, column_key = 'PRI' AS \`key\`
      FROM information_schema.columns
      WHERE table_schema = database() AND table_name = 'idempotency_records' ORDER BY ordinal_position`);
    const table = described(rows as Row[]);
    const { columns, indexes } = mysqlConfig(mysqlRecords);
    expect(ofDrizzle(columns)).toEqual(table);
    expect(ofPrisma('migrations/prisma.mysql.prisma')).toEqual(table);
    const [names] = await pool.query(
      "SELECT DISTINCT index_name AS name FROM information_schema.statistics WHERE table_schema = database() AND table_name = 'idempotency_records' ORDER BY 1",
    );
    expect((names as Row[]).map(({ name }) => name)).toEqual([indexes[0]!.config.name, 'PRIMARY']);
    await expect(
      new SqlStore({ executor: fromMysql2(pool), purge: false }).start(() => undefined),
    ).resolves.toBeUndefined();
    await pool.end();
  });
});
