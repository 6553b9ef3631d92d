import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import type { DataSource } from 'typeorm';
import { statementsOf } from '../../src/stores/sql/dialect.js';
import { eventually } from '../support/http.js';
import { MARIADB, POSTGRES, type SqlDatabase, SQLITE } from '../support/sql-databases.js';
import { type Filled, firstCall, replay, traffic } from './calls.js';
import { compare, median, MOST_SLOWDOWN, percentile } from './slowdown.js';
import { type Amounts, bytesOfRecords, fillBoth, LARGE_TABLE, SMALL_TABLE } from './sql-million.js';

const PATIENCE_MS = 240_000;
const AN_HOUR_MS = 3_600_000;

/** How much of a table was looked at so far, by the only connection of the pool. */
type Touched = (dataSource: DataSource, table: string) => Promise<number>;

const pagesOfPostgres: Touched = async (dataSource, table) => {
  await dataSource.query('SELECT pg_stat_force_next_flush()');
  const [row] = await dataSource.query<[{ pages: string }]>(
    `SELECT heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit AS pages
     FROM pg_statio_user_tables WHERE relname = '${table}'`,
  );
  return Number(row.pages);
};

const rowsOfMariadb: Touched = async (dataSource) => {
  const counters = await dataSource.query<{ Value: string }[]>(
    "SHOW SESSION STATUS LIKE 'Handler_read%'",
  );
  return counters.reduce((sum, { Value }) => sum + Number(Value), 0);
};

/** What four statements may touch more: pages for further levels of the indexes, but never a row. */
const SERVERS = [
  { ...POSTGRES, touched: pagesOfPostgres, unit: 'pages', mostMore: 12 },
  { ...MARIADB, touched: rowsOfMariadb, unit: 'rows', mostMore: 0 },
];

/** Deletes as it does by itself, and tells how much and how long. */
class PurgingNode extends TypeOrmStore {
  readonly batches: { deleted: number; ms: number }[] = [];

  override async purgeExpired(limit: number): Promise<number> {
    const begin = performance.now();
    const deleted = await super.purgeExpired(limit);
    if (deleted > 0) this.batches.push({ deleted, ms: performance.now() - begin });
    return deleted;
  }
}

async function rows(dataSource: DataSource, where: string): Promise<number> {
  const [row] = await dataSource.query<[{ amount: string }]>(
    `SELECT count(*) AS amount FROM ${LARGE_TABLE} WHERE ${where}`,
  );
  return Number(row.amount);
}

/** Tests with so many records; `isTimed` where a call that scans them all takes longer by far. */
export function describeMillion(given: Amounts & { batch: number; isTimed: boolean }): void {
  const { live, expired, batch, isTimed } = given;

  describe.each([POSTGRES, MARIADB, SQLITE])(`${live} live records in $name`, (kind) => {
    let database: SqlDatabase;
    let dataSource: DataSource;
    let pair: { small: Filled; large: Filled };

    beforeAll(async () => {
      database = await (isTimed ? kind.startOwn() : kind.start());
      dataSource = await database.connect();
      if (isTimed && kind === MARIADB)
        await dataSource.query('SET GLOBAL innodb_buffer_pool_size = 1 << 29');
      pair = await fillBoth(dataSource, given);
    }, PATIENCE_MS);

    afterAll(() => database?.stop());

    it(`and ${expired} expired ones are there`, async () => {
      expect(await rows(dataSource, 'true')).toBe(live + expired);
      const bytes = (await bytesOfRecords(dataSource)) / (live + expired);
      console.info(`${kind.name}: ${Math.round(bytes)} bytes per record`);
      expect(bytes).toBeLessThan(700);
    });

    if (isTimed) {
      it('make a first call no slower', async () => {
        expect(await compare(`${kind.name}, first call`, pair, firstCall)).toBeLessThan(
          MOST_SLOWDOWN,
        );
      });

      it('make a replay no slower', async () => {
        expect(await compare(`${kind.name}, replay`, pair, replay)).toBeLessThan(MOST_SLOWDOWN);
      });
    }

    const server = SERVERS.find(({ name }) => name === kind.name);
    if (server === undefined) {
      it('are found by the index', async () => {
        const { acquire, complete, find, purgeExpired } = statementsOf('sqlite', {
          table: LARGE_TABLE,
        });
        for (const { text, parameters } of [acquire, complete, find, purgeExpired]) {
          const plan = await dataSource.query<{ detail: string }[]>(
            `EXPLAIN QUERY PLAN ${text}`,
            parameters.map(() => 0),
          );
          const visits = plan.map(({ detail }) => detail).filter((step) => step.includes('record'));
          expect(visits.filter((step) => !/^SEARCH .* USING (COVERING )?INDEX/.test(step))).toEqual(
            [],
          );
        }
      });
    } else {
      it(`need as many ${server.unit} for a call as a thousand do`, async () => {
        const single = await database.connect({ poolSize: 1 });
        const most = async (table: string, { ids }: Filled): Promise<number> => {
          const filled = { ids, store: new TypeOrmStore({ dataSource: single, table }) };
          const costs: number[] = [];
          for (let round = 0; round < 20; round += 1) {
            const before = await server.touched(single, table);
            await firstCall(filled);
            await replay(filled);
            costs.push((await server.touched(single, table)) - before);
          }
          return median(costs);
        };
        const few = await most(SMALL_TABLE, pair.small);
        const many = await most(LARGE_TABLE, pair.large);
        console.info(`${kind.name}, first call and replay: ${few} and ${many} ${server.unit}`);
        expect(few).toBeGreaterThan(0);
        expect(many).toBeLessThanOrEqual(few + server.mostMore);
      });
    }

    it(
      'are served without a pause while the expired ones are purged, by two nodes in turn',
      async () => {
        // What calls forget leaves an empty row behind for a day.
        const staying = `purge_at > ${Date.now() + AN_HOUR_MS} AND state = 'completed'`;
        const stay = await rows(dataSource, staying);

        const nodes: PurgingNode[] = [];
        for (let count = 0; count < (kind.hasManySessions ? 2 : 1); count += 1) {
          const own = kind.hasManySessions ? await database.connect() : dataSource;
          nodes.push(new PurgingNode({ dataSource: own, purge: { everyMs: 50, batch } }));
        }
        const deleted = (): number =>
          nodes.flatMap(({ batches }) => batches).reduce((sum, batch) => sum + batch.deleted, 0);
        const calls = traffic(pair.large, 4);
        // The same at a table that nobody purges: what keeps the whole server waiting shows there, too.
        const elsewhere = kind.hasManySessions ? traffic(pair.small, 1) : undefined;
        const begin = performance.now();
        for (const node of nodes) await node.start((warning) => expect(warning).toBe(''));
        // Where all is done in this process, a tenth of many shows it.
        const enough = kind.hasManySessions ? expired : Math.max(expired / 10, 5_000);
        await eventually(() => deleted() >= enough, PATIENCE_MS);
        const seconds = (performance.now() - begin) / 1_000;
        for (const node of nodes) await node.close();
        const during = await calls.stop();
        const beside = (await elsewhere?.stop()) ?? [0];

        const batches = nodes.flatMap((node) => node.batches);
        console.info(
          [
            `${kind.name}: ${deleted()} purged in ${seconds.toFixed(0)} s,`,
            `${batches.length} batches of ${median(batches.map(({ ms }) => ms)).toFixed(0)} ms;`,
            `calls meanwhile: ${figures(during)};`,
            `at another table: ${figures(beside)}`,
          ].join(' '),
        );
        expect(deleted()).toBeGreaterThanOrEqual(enough);
        expect(Math.max(...batches.map(({ deleted: amount }) => amount))).toBeLessThanOrEqual(
          batch,
        );
        expect(during.length).toBeGreaterThan(batches.length / 10);
        // A pause would be as long as it takes to delete all of them. A second is little enough, unless
        // the machine takes long for each batch, too.
        const slowestMs = Math.max(...batches.map(({ ms }) => ms));
        const noPauseMs = Math.min(Math.max(1_000, 10 * slowestMs), seconds * 500);
        expect(Math.max(...during)).toBeLessThan(noPauseMs + Math.max(...beside));
        expect(await rows(dataSource, staying)).toBe(stay);
      },
      PATIENCE_MS,
    );
  });
}

function figures(took: readonly number[]): string {
  const [middle, high] = [median(took), percentile(took, 0.99)];
  const most = took.reduce((a, b) => Math.max(a, b), 0);
  return `${took.length} calls, median ${middle.toFixed(1)}, 99 % ${high.toFixed(1)}, slowest ${most.toFixed(0)} ms`;
}
