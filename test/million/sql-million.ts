import {
  CreateIdempotencyRecords1763700000000,
  IdempotencyRecord,
  TypeOrmStore,
} from 'nestjs-idempotency/typeorm';
import { randomBytes } from 'node:crypto';
import { type DataSource, MoreThan } from 'typeorm';
import { completedOn } from '../support/claims.js';
import { type Filled, fillSmall } from './calls.js';

export interface Amounts {
  readonly live: number;
  readonly expired: number;
}

const TTL_MS = 86_400_000;

/** Where a dialect has numbers from, and bytes that look like a digest. */
const SERIES = {
  postgres: (all: number) => [`generate_series(1, ${all}) AS series (n)`, 'sha256(n::text::bytea)'],
  mariadb: (all: number) => [
    `(SELECT CAST(seq AS signed) AS n FROM seq_1_to_${all}) AS series`,
    'unhex(sha2(n, 256))',
  ],
  sqljs: (all: number) => [
    `(WITH RECURSIVE numbers (n) AS (
       SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${all}
     ) SELECT n FROM numbers) AS series`,
    'randomblob(32)',
  ],
} as const;

export const SMALL_TABLE = 'thousand_records';
export const LARGE_TABLE = 'idempotency_records';

/** Two tables in one database: a thousand live records, and many more beside the expired ones. */
export async function fillBoth(
  dataSource: DataSource,
  amounts: Amounts,
): Promise<{ small: Filled; large: Filled }> {
  for (const table of [SMALL_TABLE, LARGE_TABLE, 'template_record']) {
    await new CreateIdempotencyRecords1763700000000({ table }).up(dataSource.createQueryRunner());
  }
  await fillLarge(dataSource, amounts);
  return {
    small: await fillSmall(new TypeOrmStore({ dataSource, table: SMALL_TABLE, purge: false })),
    large: {
      store: new TypeOrmStore({ dataSource, purge: false }),
      ids: await someIds(dataSource, 1_000),
    },
  };
}

/** Copies of a record that the store made, under other ids and ending one after the other. */
async function fillLarge(dataSource: DataSource, { live, expired }: Amounts): Promise<void> {
  const template = new TypeOrmStore({ dataSource, table: 'template_record', purge: false });
  await completedOn(template, { ttlMs: TTL_MS });
  const [series, id] = SERIES[dataSource.options.type as keyof typeof SERIES](live + expired);
  // The live ones end within a day, and the others have ended within half of it.
  const apartMs = Math.floor(80_000_000 / live);
  // To be kept while rows come in no order of its own, it would take most of the time.
  const isSqlite = dataSource.options.type === 'sqljs';
  if (isSqlite) await dataSource.query(`DROP INDEX ${LARGE_TABLE}_purge_at`);
  const shift = `- ${TTL_MS} + (n - ${expired}) * ${apartMs}`;
  await dataSource.query(
    `INSERT INTO ${LARGE_TABLE}
     SELECT ${id}, state, owner, attempt, fencing_token + n, abandoned, fingerprint,
       lease_ends_at, lease_ms, expires_at ${shift}, purge_at ${shift}, steps, reply, reason,
       scope, label, created_at, claimed_at, held_at, held_note, settled_at, settled_note
     FROM template_record CROSS JOIN ${series}
     ORDER BY 1`,
  );
  if (isSqlite)
    await dataSource.query(`CREATE INDEX ${LARGE_TABLE}_purge_at ON ${LARGE_TABLE} (purge_at)`);
  // What the servers do by themselves before long.
  if (dataSource.options.type === 'postgres') await dataSource.query('VACUUM ANALYZE');
  if (dataSource.options.type === 'mariadb') await dataSource.query(`ANALYZE TABLE ${LARGE_TABLE}`);
}

/** What the table and its indexes take. */
export async function bytesOfRecords(dataSource: DataSource): Promise<number> {
  const [row] = await dataSource.query<[{ bytes: string }]>(
    {
      postgres: `SELECT pg_total_relation_size('${LARGE_TABLE}') AS bytes`,
      mariadb: `SELECT data_length + index_length AS bytes FROM information_schema.tables
                WHERE table_name = '${LARGE_TABLE}'`,
      sqljs: 'SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size',
    }[dataSource.options.type as keyof typeof SERIES],
  );
  return Number(row.bytes);
}

async function someIds(dataSource: DataSource, amount: number): Promise<string[]> {
  const records = dataSource.getRepository(IdempotencyRecord);
  const soon = (await records.findOneOrFail({ where: {}, order: { purgeAt: 'DESC' } })).purgeAt!;
  const ids: string[] = [];
  while (ids.length < amount) {
    const [found] = await records.find({
      select: { id: true, expiresAt: true },
      where: { id: MoreThan(randomBytes(32)) as never },
      order: { id: 'ASC' },
      take: 1,
    });
    // Far from its end for as long as the test takes.
    if (found && found.expiresAt! > soon - TTL_MS / 2) ids.push(found.id);
  }
  return ids;
}
