import { Controller, type NestInterceptor, Post } from '@nestjs/common';
import {
  IdempotencyService,
  Idempotent,
  Operation,
  type IdempotentOperation,
} from 'nestjs-idempotency';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import type { IncomingMessage } from 'node:http';
import { fromEvent, takeUntil, timeout } from 'rxjs';
import type { DataSource } from 'typeorm';
import { boot, eventually, PLATFORMS, requestText, type TestApp } from '../support/http.js';
import { POSTGRES, type SqlDatabase } from '../support/sql-databases.js';

const POOL = 3;
const BURST = 50;
const WORK_MS = 30;
/** How soon the pool has to be whole after the last call was broken off, on an idle machine. */
const WHOLE_WITHIN_MS = 1_000;

let runs = 0;

@Controller()
class Payments {
  @Idempotent({ transaction: true })
  @Post('in-transaction')
  async inTransaction(@Operation() operation: IdempotentOperation): Promise<unknown> {
    const run = ++runs;
    await operation.manager.query('SELECT 1');
    await pause(WORK_MS);
    return { run };
  }

  @Idempotent({ lease: '1s' })
  @Post('with-lease')
  async withLease(): Promise<unknown> {
    const run = ++runs;
    await pause(WORK_MS);
    return { run };
  }
}

/** As applications do it that stop what nobody waits for. */
const CANCEL_ON_DISCONNECT: NestInterceptor = {
  intercept: (context, next) => {
    const request = context
      .switchToHttp()
      .getRequest<IncomingMessage & { raw?: IncomingMessage }>();
    return next.handle().pipe(takeUntil(fromEvent((request.raw ?? request).socket, 'close')));
  },
};
const TIME_OUT: NestInterceptor = {
  intercept: (_context, next) => next.handle().pipe(timeout(WORK_MS / 2)),
};
const NOTHING: NestInterceptor = { intercept: (_context, next) => next.handle() };

const CASES = PLATFORMS.flatMap((platform) =>
  ['/in-transaction', '/with-lease'].flatMap((path) =>
    Object.entries({ CANCEL_ON_DISCONNECT, TIME_OUT, NOTHING }).map(
      ([name, around]) => [platform, path, name, around] as const,
    ),
  ),
);

describe('a burst of calls that are broken off leaves the pool whole', () => {
  let database: SqlDatabase;
  let dataSource: DataSource;

  beforeAll(async () => {
    database = await POSTGRES.start();
    dataSource = await database.connect({ extra: { max: POOL }, migrationsRun: true });
  });
  afterAll(() => database.stop());

  interface Pool {
    readonly totalCount: number;
    readonly idleCount: number;
    readonly waitingCount: number;
  }
  const pool = () => (dataSource.driver as unknown as { readonly master: Pool }).master;
  /** How long the same burst takes on this machine when nobody leaves, in milliseconds. */
  const burstMs = async (test: TestApp, path: string, keyOf: (call: number) => string) => {
    const startedAt = Date.now();
    await Promise.all(
      Array.from({ length: BURST }, (_, call) => test.send(path, { key: `${keyOf(call)}-heard` })),
    );
    return Date.now() - startedAt;
  };
  const isWhole = () => pool().idleCount === pool().totalCount && pool().waitingCount === 0;

  it.each(CASES)('%s %s, %s', async (platform, path, name, around) => {
    runs = 0;
    const test: TestApp = await boot(platform, {
      controllers: [Payments],
      idempotency: { store: new TypeOrmStore({ dataSource, purge: false }) },
      configure: (app) => app.useGlobalInterceptors(around),
    });
    const keyOf = (call: number): string => `${platform}${path}${name}-${call}`;
    try {
      // Some are still on their way to the database when they are broken off, some are at work.
      await Promise.all(
        Array.from({ length: BURST }, async (_, call) => {
          const connection = await test.raw(requestText(path, [`Idempotency-Key: ${keyOf(call)}`]));
          await pause(call % WORK_MS);
          await connection.leave();
        }),
      );
      const left = Date.now();
      await eventually(isWhole);
      const wholeAfterMs = Date.now() - left;
      const ran = runs;
      // Handlers that have begun take their time; so does a loaded machine.
      expect(wholeAfterMs).toBeLessThan(WHOLE_WITHIN_MS + 2 * (await burstMs(test, path, keyOf)));

      const service = test.app.get(IdempotencyService);
      const states = async (): Promise<(string | undefined)[]> => {
        const found: (string | undefined)[] = [];
        for (let call = 0; call < BURST; call++)
          found.push((await service.find({ scope: `POST ${path}`, key: keyOf(call) }))?.state);
        return found;
      };
      await eventually(async () => !(await states()).includes('in-flight'));
      const done = (await states()).filter((state) => state === 'completed').length;
      expect(done).toBe(ran);
      expect((await test.send(path, { key: `${keyOf(0)}-new` })).status).toBeLessThan(600);
      await eventually(isWhole);
    } finally {
      await test.close();
    }
  });
});

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
