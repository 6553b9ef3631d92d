import type { SqlDialect } from '../stores/sql/executor.js';

/** What one of the answers to "where do you want to keep the records?" means for a project. */
export interface StoreChoice {
  /** Packages with their ranges. `'nest'` is the major version that the project has of Nest. */
  readonly packages: Readonly<Record<string, string>>;
  readonly devPackages?: Readonly<Record<string, string>>;
  /** The dialect of a table that the project has to create itself. */
  readonly table?: SqlDialect;
  /** Whether the table is created by a migration of TypeORM. */
  readonly isTypeOrm?: boolean;
  /** What is left to do, for the person who has run it. */
  readonly next: string;
  /** The statements that import what is used, each with `path` for a file beside it. */
  readonly imports: readonly string[];
  /** Between the imports and the module. */
  readonly before?: string;
  /** The elements of the module's `imports`. */
  readonly elements: string;
}

const DATABASE = 'Set DATABASE_URL, and create the table with "npx nestjs-idempotency migrate".';

const typeOrm = (type: 'postgres' | 'mysql', packages: Record<string, string>): StoreChoice => ({
  packages: { '@nestjs/typeorm': 'nest', typeorm: '^1.0.0', ...packages },
  isTypeOrm: true,
  next: 'Set DATABASE_URL. The table is created when the application starts.',
  imports: [
    `import { TypeOrmModule } from '@nestjs/typeorm';`,
    `import { IdempotencyModule } from 'nestjs-idempotency';`,
    `import { TypeOrmStore } from 'nestjs-idempotency/typeorm';`,
    `import { DataSource } from 'typeorm';`,
  ],
  elements: `    TypeOrmModule.forRoot({
      type: '${type}',
      url: process.env.DATABASE_URL,
      autoLoadEntities: true,
      migrations: [CreateIdempotencyRecords1763700000000],
      migrationsRun: true,
    }),
${TYPEORM_STORE}`,
});

const TYPEORM_STORE = `    IdempotencyModule.forRoot({
      store: {
        inject: [DataSource],
        useFactory: (dataSource: DataSource) => new TypeOrmStore({ dataSource }),
      },
    }),
`;

/** Where the project has a data source already: its own. */
export function onOwnDataSource(choice: StoreChoice): StoreChoice {
  return {
    ...choice,
    packages: {},
    next: 'Add the migration of src/migrations to those of your data source, and run it.',
    imports: choice.imports.filter((each) => !each.includes('@nestjs/typeorm')),
    elements: TYPEORM_STORE,
  };
}

const connected = (client: string, type: string, create: string, end: string): string => `
/** The connections of the application to its records. */
@Injectable()
export class IdempotencyConnection implements OnApplicationShutdown {
  readonly ${client}: ${type} = ${create};

  onApplicationShutdown() {
    return this.${client}.${end}();
  }
}

@Module({ providers: [IdempotencyConnection], exports: [IdempotencyConnection] })
class IdempotencyConnectionModule {}
`;

const over = (client: string, store: string): string => `    IdempotencyModule.forRoot({
      imports: [IdempotencyConnectionModule],
      store: {
        inject: [IdempotencyConnection],
        useFactory: ({ ${client} }: IdempotencyConnection) => ${store},
      },
    }),
`;

/** By the word for it. */
export const STORES: Readonly<Record<string, StoreChoice>> = {
  memory: {
    packages: {},
    next: 'Records are lost with the process: choose another store before production.',
    imports: [`import { IdempotencyModule } from 'nestjs-idempotency';`],
    elements: '    IdempotencyModule.forRoot(),\n',
  },
  redis: {
    packages: { ioredis: '^5.4.0' },
    next: 'Set REDIS_URL; without it, Redis is expected on this machine.',
    imports: [
      `import { Redis } from 'ioredis';`,
      `import { IdempotencyModule } from 'nestjs-idempotency';`,
      `import { RedisStore } from 'nestjs-idempotency/redis';`,
    ],
    before: connected(
      'client',
      'Redis',
      `new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379', {
    lazyConnect: true,
  }).on('error', (error: Error) => console.error('Redis:', error.message))`,
      'disconnect',
    ),
    elements: over('client', 'new RedisStore({ client })'),
  },
  'typeorm-postgres': typeOrm('postgres', { pg: '^8.0.0' }),
  'typeorm-mysql': typeOrm('mysql', { mysql2: '^3.0.0' }),
  postgres: {
    packages: { pg: '^8.0.0' },
    devPackages: { '@types/pg': '^8.0.0' },
    table: 'postgres',
    next: DATABASE,
    imports: [
      `import { IdempotencyModule } from 'nestjs-idempotency';`,
      `import { fromPg, SqlStore } from 'nestjs-idempotency/sql';`,
      `import { Pool } from 'pg';`,
    ],
    before: connected(
      'pool',
      'Pool',
      `new Pool({ connectionString: process.env.DATABASE_URL }).on('error', (error) =>
    console.error('PostgreSQL:', error.message),
  )`,
      'end',
    ),
    elements: over('pool', 'new SqlStore({ executor: fromPg(pool) })'),
  },
  mysql: {
    packages: { mysql2: '^3.0.0' },
    table: 'mysql',
    next: DATABASE,
    imports: [
      `import { createPool, type Pool } from 'mysql2/promise';`,
      `import { IdempotencyModule } from 'nestjs-idempotency';`,
      `import { fromMysql2, SqlStore } from 'nestjs-idempotency/sql';`,
    ],
    before: connected('pool', 'Pool', 'createPool({ uri: process.env.DATABASE_URL })', 'end'),
    elements: over('pool', 'new SqlStore({ executor: fromMysql2(pool) })'),
  },
};
