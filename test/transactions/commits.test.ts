import {
  type ArgumentsHost,
  Body,
  Catch,
  Controller,
  type ExceptionFilter,
  Post,
  UseFilters,
} from '@nestjs/common';
import {
  Idempotent,
  type IdempotencyEvent,
  IdempotencyService,
  type IdempotentOperation,
  Operation,
} from 'nestjs-idempotency';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import {
  type DataSource,
  type EntitySubscriberInterface,
  EventSubscriber,
  QueryFailedError,
} from 'typeorm';
import { boot, type Reply, type TestApp } from '../support/http.js';
import {
  POSTGRES,
  type SqlDatabase,
  type SqlDatabaseKind,
  SQLITE,
} from '../support/sql-databases.js';

let subscriberFails: 'before' | 'after' | undefined;

@EventSubscriber()
class SearchIndex implements EntitySubscriberInterface {
  beforeTransactionCommit(): void {
    if (subscriberFails === 'before') throw new Error('the search index refuses');
  }

  afterTransactionCommit(): void {
    if (subscriberFails === 'after') throw new Error('the search index is away');
  }
}

/** What an application makes of errors of its database. */
@Catch(QueryFailedError)
class DatabaseFilter implements ExceptionFilter<QueryFailedError> {
  catch({ driverError }: QueryFailedError, host: ArgumentsHost): void {
    const { code } = driverError as { code?: string };
    const response = host.switchToHttp().getResponse<{
      status(status: number): { json(body: unknown): void };
    }>();
    response.status(422).json({ code });
  }
}

interface Order {
  readonly id: number;
}

describe('a commit that fails', () => {
  let database: SqlDatabase;
  let source: DataSource;
  let shop: TestApp;
  let runs = 0;
  let events: IdempotencyEvent[] = [];

  async function start(kind: SqlDatabaseKind, isLate = false): Promise<void> {
    database = await kind.start();
    source = await database.connect({ subscribers: [SearchIndex] });
    await source.runMigrations();
    const createTables = async (): Promise<void> => {
      await source.query('CREATE TABLE orders (id integer PRIMARY KEY)');
      await source.query(
        'CREATE TABLE lines (order_id integer REFERENCES orders (id) DEFERRABLE INITIALLY DEFERRED)',
      );
    };
    if (!isLate) await createTables();
    @Controller()
    class Lines {
      @Post('lines')
      @Idempotent({ transaction: true })
      async line(@Body() { id }: Order, @Operation() op: IdempotentOperation): Promise<object> {
        runs += 1;
        await op.manager.query(`INSERT INTO lines (order_id) VALUES (${id})`);
        return { id };
      }

      @Post('orders')
      @Idempotent({ transaction: true })
      async order(@Body() { id }: Order, @Operation() op: IdempotentOperation): Promise<object> {
        runs += 1;
        await op.manager.query(`INSERT INTO orders (id) VALUES (${id})`);
        return { id };
      }

      @Post('filtered')
      @UseFilters(DatabaseFilter)
      @Idempotent({ transaction: true })
      filtered(@Body() order: Order, @Operation() op: IdempotentOperation): Promise<object> {
        return this.line(order, op);
      }

      @Post('stored')
      @Idempotent({ transaction: true, onError: 'store' })
      stored(@Body() order: Order, @Operation() op: IdempotentOperation): Promise<object> {
        return this.line(order, op);
      }

      @Post('held')
      @Idempotent({ transaction: true, onError: (error) => (error ? 'hold' : 'release') })
      held(@Body() order: Order, @Operation() op: IdempotentOperation): Promise<object> {
        return this.line(order, op);
      }

      @Post('nested')
      @Idempotent({ transaction: true })
      async nested(@Body() order: Order, @Operation() op: IdempotentOperation): Promise<object> {
        // Begun, and never ended.
        await op.manager.queryRunner!.startTransaction();
        return this.order(order, op);
      }

      @Post('ended')
      @Idempotent({ transaction: true })
      async ended(@Body() order: Order, @Operation() op: IdempotentOperation): Promise<object> {
        const reply = await this.order(order, op);
        await op.manager.queryRunner!.commitTransaction();
        return reply;
      }
    }
    shop = await boot('express', {
      controllers: [Lines],
      idempotency: {
        storeTimeout: '30s',
        store: new TypeOrmStore({ dataSource: source, purge: false }),
      },
    });
    shop.app.get(IdempotencyService).events$.subscribe((event) => events.push(event));
    if (isLate) await createTables();
  }

  beforeEach(() => {
    runs = 0;
    events = [];
    subscriberFails = undefined;
  });

  afterEach(async () => {
    await shop?.close();
    await database?.stop();
  });

  const send = (path: string, key: string, id: number): Promise<Reply> =>
    shop.send(path, { key, body: { id } });
  const count = async (table: string): Promise<number> => {
    const [row] = await source.query<[{ n: unknown }]>(`SELECT count(*) AS n FROM ${table}`);
    return Number(row.n);
  };

  it('because of a deferred constraint is the handler’s own error, with filters and onError', async () => {
    await start(POSTGRES);
    expect((await send('/lines', 'a', 1)).status).toBe(500);
    expect(shop.complaints.join('\n')).toContain('lines_order_id_fkey');
    const filtered = await send('/filtered', 'b', 1);
    expect([filtered.status, filtered.json()]).toEqual([422, { code: '23503' }]);
    // Released, so that a retry runs.
    expect((await send('/lines', 'a', 1)).headers['idempotent-replayed']).toBeUndefined();
    expect(runs).toBe(3);

    const [stored, again] = [await send('/stored', 'c', 1), await send('/stored', 'c', 1)];
    expect([stored.status, again.status, again.text]).toEqual([500, 500, stored.text]);
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect((await send('/held', 'd', 1)).status).toBe(500);
    expect((await send('/held', 'd', 1)).json()).toMatchObject({
      code: 'IDEMPOTENCY_OUTCOME_UNKNOWN',
    });
    expect(runs).toBe(5);
    expect(await count('lines')).toBe(0);

    // What keeps to the rules is committed.
    expect((await send('/orders', 'e', 1)).status).toBe(201);
    expect((await send('/lines', 'a', 1)).status).toBe(201);
    expect(await count('lines')).toBe(1);
  });

  it.each([
    ['that came after the start', POSTGRES, true],
    ['on SQLite', SQLITE, false],
  ])('because of a constraint %s is told as 500 too', async (_when, kind, isLate) => {
    await start(kind, isLate);
    if (kind === SQLITE) await source.query('PRAGMA foreign_keys = ON');
    const first = await send('/lines', 'a', 1);
    expect([first.status, first.json()]).toEqual([
      500,
      { statusCode: 500, message: 'Internal server error' },
    ]);
    expect(shop.complaints.join('\n')).toMatch(/POST \/lines could not be committed.*constraint/i);
    expect(events.find(({ type }) => type === 'released')).toMatchObject({
      cause: expect.objectContaining({ message: expect.stringMatching(/constraint/i) as string }),
    });
    expect((await send('/lines', 'a', 1)).status).toBe(500);
    expect(runs).toBe(2);
    const [stored, again] = [await send('/stored', 'c', 1), await send('/stored', 'c', 1)];
    expect([stored.status, again.status]).toEqual([500, 500]);
    expect(again.headers['idempotent-replayed']).toBe('true');
    await send('/held', 'd', 1);
    expect((await send('/held', 'd', 1)).json()).toMatchObject({
      code: 'IDEMPOTENCY_OUTCOME_UNKNOWN',
    });
    expect(await count('lines')).toBe(0);
  });

  it('only in a subscriber that is told afterwards has not failed', async () => {
    await start(POSTGRES);
    subscriberFails = 'after';
    const first = await send('/orders', 'a', 1);
    const again = await send('/orders', 'a', 1);
    expect([first.status, again.status]).toEqual([201, 201]);
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect([runs, await count('orders')]).toEqual([1, 1]);
    expect(shop.complaints.join('\n')).toContain('the search index is away');
  });

  it('because a subscriber refuses it is an error of the application', async () => {
    await start(POSTGRES);
    subscriberFails = 'before';
    expect((await send('/orders', 'a', 1)).status).toBe(500);
    subscriberFails = undefined;
    expect((await send('/orders', 'a', 1)).status).toBe(201);
    expect([runs, await count('orders')]).toEqual([2, 1]);
  });

  it('is not one that leaves a transaction open, or was made by the handler', async () => {
    await start(POSTGRES);
    for (const [at, path] of ['/nested', '/ended'].entries()) {
      expect((await send(path, path, at)).status).toBe(201);
      expect((await send(path, path, at)).headers['idempotent-replayed']).toBe('true');
    }
    expect([runs, await count('orders')]).toEqual([2, 2]);
    expect(shop.complaints.join('\n')).toContain('has ended the transaction itself');
  });
});
