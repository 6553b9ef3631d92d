import { PrismaMariaDb } from '@prisma/adapter-mariadb';
import { PrismaPg } from '@prisma/adapter-pg';
import { getPrismaClient, type GetPrismaClientConfig } from '@prisma/client/runtime/client';
import { fromPrisma, type PrismaTransactionOf } from 'nestjs-idempotency/sql';
import { readFileSync } from 'node:fs';
import type { Layer, OpenLayer } from './layer.js';

type Rows = readonly Record<string, unknown>[];

/** What `prisma generate` makes of the type of a client, as far as it is needed. */
export interface PrismaClient {
  readonly payment: {
    create(args: { data: { id: string } }): Promise<{ id: string }>;
    findUnique(args: { where: { id: string } }): Promise<{ id: string } | null>;
    findMany(): Promise<{ id: string }[]>;
  };
  $connect(): Promise<void>;
  $disconnect(): Promise<void>;
  $extends(extension: object): PrismaClient;
  $queryRawUnsafe<T = unknown>(text: string, ...values: unknown[]): Promise<T>;
  $executeRawUnsafe(text: string, ...values: unknown[]): Promise<number>;
  $transaction<P extends Promise<unknown>[]>(queries: [...P]): Promise<unknown[]>;
  $transaction<R>(
    work: (tx: PrismaTx) => Promise<R>,
    options?: { maxWait?: number; timeout?: number },
  ): Promise<R>;
}

export type PrismaTx = Omit<PrismaClient, '$connect' | '$disconnect' | '$extends'>;

/** The type that a handler gets is that of the team's own client. */
const _typed: (tx: PrismaTransactionOf<PrismaClient>) => Promise<number> = (tx) =>
  tx.$executeRawUnsafe('SELECT 1');
void _typed;

type Generated = Pick<
  GetPrismaClientConfig,
  'inlineSchema' | 'runtimeDataModel' | 'parameterizationSchema'
>;

/**
 * The client of a schema. `prisma generate` writes the schema, its models and their parameters into a module
 * beside hundreds of kilobytes of types; the files in `prisma/` are what that module passes on.
 */
export function prismaOf(file: 'postgres' | 'mysql' | 'records.postgres'): {
  readonly schema: string;
  readonly PrismaClient: new (options: object) => PrismaClient;
} {
  const path = `test/sql/support/prisma/${file}.json`;
  const generated = JSON.parse(readFileSync(path, 'utf8')) as Generated;
  const provider = file === 'mysql' ? 'mysql' : 'postgres';
  const made = getPrismaClient({
    ...generated,
    previewFeatures: [],
    clientVersion: '7.10.0',
    engineVersion: '7.10.0',
    activeProvider: provider === 'postgres' ? 'postgresql' : provider,
    compilerWasm: compilerOf(provider),
  });
  return {
    schema: generated.inlineSchema,
    PrismaClient: made as unknown as new (options: object) => PrismaClient,
  };
}

function compilerOf(provider: 'postgres' | 'mysql'): GetPrismaClientConfig['compilerWasm'] {
  const files = {
    postgres: () => [
      import('@prisma/client/runtime/query_compiler_fast_bg.postgresql.mjs'),
      import('@prisma/client/runtime/query_compiler_fast_bg.postgresql.wasm-base64.mjs'),
    ],
    mysql: () => [
      import('@prisma/client/runtime/query_compiler_fast_bg.mysql.mjs'),
      import('@prisma/client/runtime/query_compiler_fast_bg.mysql.wasm-base64.mjs'),
    ],
  }[provider]();
  const [runtime, module] = files as [Promise<never>, Promise<{ readonly wasm: string }>];
  return {
    getRuntime: () => runtime,
    getQueryCompilerWasmModule: async () =>
      new WebAssembly.Module(Buffer.from((await module).wasm, 'base64')),
    importName: './query_compiler_fast_bg.js',
  };
}

/** A client with a pool of that many connections. */
export function prismaOnPostgres(connectionString: string, max: number): PrismaClient {
  return new (prismaOf('postgres').PrismaClient)({
    adapter: new PrismaPg({ connectionString, max }),
  });
}

export function prismaOnMariadb(url: string, connectionLimit: number): PrismaClient {
  const address = url.replace(/^mysql:/, 'mariadb:');
  const adapter = new PrismaMariaDb(`${address}?connectionLimit=${connectionLimit}`);
  return new (prismaOf('mysql').PrismaClient)({ adapter });
}

function openPrisma(prisma: PrismaClient): OpenLayer {
  const execute = (on: PrismaTx, text: string): Promise<unknown> => on.$executeRawUnsafe(text);
  return {
    executor: fromPrisma(prisma),
    insert: (tx, table, id) =>
      table === 'payments'
        ? (tx as PrismaTx).payment.create({ data: { id } })
        : execute(tx as PrismaTx, `INSERT INTO ${table} VALUES ('${id}')`),
    run: (tx, text) => execute(tx as PrismaTx, text),
    query: async (text) =>
      /^\s*(SELECT|SHOW)\b/i.test(text)
        ? prisma.$queryRawUnsafe<Rows>(text)
        : [{ affected: await execute(prisma, text) }],
    ways: {
      'a transaction': (text) => prisma.$transaction((tx) => tx.$executeRawUnsafe(text)),
      'several statements': (text) => prisma.$transaction([prisma.$executeRawUnsafe(text)]),
      'an extended client': (text) => prisma.$extends({}).$executeRawUnsafe(text),
    },
    close: () => prisma.$disconnect(),
  };
}

export const PRISMA_PG: Layer = {
  name: 'fromPrisma() on PostgreSQL',
  dialect: 'postgres',
  open: (url, max) => openPrisma(prismaOnPostgres(url, max)),
};

export const PRISMA_MARIADB: Layer = {
  name: 'fromPrisma() on MariaDB',
  dialect: 'mysql',
  open: (url, max) => openPrisma(prismaOnMariadb(url, max)),
};
