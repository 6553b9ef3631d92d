import { Body, Controller, Post } from '@nestjs/common';
import { Redis } from 'ioredis';
import { body, Idempotent, IdempotencyService } from 'nestjs-idempotency';
import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import { RedisStore } from 'nestjs-idempotency/redis';
import { fromPg, sqlMigration, SqlStore } from 'nestjs-idempotency/sql';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'pg';
import { main } from '../../src/cli/main.js';
import { boot, type TestApp } from '../support/http.js';
import { sharedPostgres, sharedRedis } from '../support/servers/shared.js';

const KEY = 'a-key-that-nobody-on-call-knows';
const BY = ['--by', 'anna', '--reason', 'the provider says: paid'];
const NO_RECORD = '0'.repeat(64);

@Controller('payments')
class PaymentsController {
  @Idempotent({ onError: 'hold', label: body('orderId') })
  @Post()
  pay(@Body() { orderId }: { orderId: string }): never {
    throw new TypeError(`The provider did not answer for '${orderId}'.`);
  }

  @Idempotent({ onError: 'hold', scope: 'refunds' })
  @Post('refunds')
  refund(): never {
    throw new TypeError('The provider did not answer.');
  }
}

interface Open {
  readonly url: string;
  readonly store: IdempotencyStore;
  close(): Promise<unknown>;
}

const PLACES: Readonly<Record<string, () => Promise<Open>>> = {
  PostgreSQL: async () => {
    const server = await sharedPostgres();
    const pool = new Pool({ connectionString: server.url });
    for (const statement of sqlMigration('postgres').up) await pool.query(statement);
    const close = async (): Promise<void> => {
      await pool.end();
      await server.stop();
    };
    return { url: server.url, store: new SqlStore({ executor: fromPg(pool) }), close };
  },
  Redis: async () => {
    const server = await sharedRedis();
    const client = new Redis(server.url);
    const close = async (): Promise<void> => {
      client.disconnect();
      await server.stop();
    };
    return { url: server.url, store: new RedisStore({ client }), close };
  },
};

describe.each(Object.entries(PLACES))('S25: on call for payments in %s', (name, open) => {
  let place: Open;
  let app: TestApp;
  let folder: string;
  let alarms: string[];
  let sealing: string[];

  beforeAll(async () => {
    place = await open();
    folder = mkdtempSync(join(tmpdir(), 'idempotency-keys-'));
    const key = randomBytes(32).toString('base64');
    // Sealed in one of them: the command line must open and seal as the application does.
    const isSealed = name === 'PostgreSQL';
    writeFileSync(join(folder, 'keys'), `${key}\n`);
    sealing = isSealed ? ['--encryption-key-file', join(folder, 'keys')] : [];
    app = await boot('express', {
      controllers: [PaymentsController],
      idempotency: { store: place.store, ...(isSealed && { encryption: { keys: [key] } }) },
    });
    alarms = [];
    app.app.get(IdempotencyService).events$.subscribe((event) => {
      if (event.type === 'held') alarms.push(event.id);
    });
  });

  afterAll(async () => {
    await app?.close();
    await place?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const run = async (...args: string[]) => {
    const printed: string[] = [];
    const complained: string[] = [];
    const exitCode = await main([...args, '--url', place.url, ...sealing], {
      environment: {},
      folder: process.cwd(),
      print: (line) => void printed.push(line),
      complain: (line) => void complained.push(line),
    });
    return { exitCode, printed: printed.join('\n'), complained: complained.join('\n') };
  };
  const pay = (orderId: string) =>
    app.send('/payments', {
      headers: { 'Idempotency-Key': `${KEY}-${orderId}` },
      body: { orderId },
    });

  it('goes from the alarm to a settled payment, and the retry gets the settled reply', async () => {
    expect((await pay('order-7')).status).toBe(500);
    expect((await pay('order-7')).status).toBe(409);
    const [id] = alarms;

    const list = await run('held', '--scope', 'POST /payments', '--check');
    expect(list).toMatchObject({ exitCode: 3, complained: '' });
    expect(list.printed).toContain(id);
    expect(list.printed).toContain('order-7');

    const story = await run('show', id!);
    expect(story.exitCode).toBe(0);
    expect(story.printed).toMatch(/state: +held/);
    expect(story.printed).toMatch(/label: +order-7/);
    expect(story.printed).toMatch(/failure: +TypeError: The provider did not answer for …/);
    expect(list.printed + story.printed).not.toContain(KEY);

    const reply = ['--status', '201', '--body', '{"id":7}'];
    expect(await run('settle', id!, ...reply, ...BY)).toEqual({
      exitCode: 0,
      printed: 'The operation is settled.',
      complained: '',
    });
    const retry = await pay('order-7');
    expect(retry.status).toBe(201);
    expect(retry.json()).toEqual({ id: 7 });
    expect(retry.headers['idempotent-replayed']).toBe('true');

    const trail = await run('show', id!);
    expect(trail.printed).toMatch(/settled by: +anna/);
    expect(trail.printed).toMatch(/because: +the provider says: paid/);
    expect(await run('held', '--check')).toMatchObject({
      exitCode: 0,
      printed: 'No operation is waiting.',
    });
  });

  it('settles what it cannot tell from a route, or from anything else, so that retries are answered', async () => {
    const refund = () => app.send('/payments/refunds', { key: KEY });
    const charge = (key: string) =>
      app.app
        .get(IdempotencyService)
        .run({ scope: 'charge', key, onError: 'hold' }, (): unknown => {
          throw new TypeError('The provider did not answer.');
        })
        .catch((error: unknown) => error);
    expect((await refund()).status).toBe(500);
    await charge('paid');
    await charge('declined');
    const [refunded, paid, declined] = alarms.slice(-3);
    await run('settle', refunded!, '--value', '{"id":7}', ...BY);
    await run('settle', paid!, '--status', '201', '--body', '{"id":7}', ...BY);
    await run('settle', declined!, '--status', '402', '--body', 'declined', ...BY);

    const retried = await refund();
    expect([retried.status, retried.json()]).toEqual([200, { id: 7 }]);
    expect(await charge('paid')).toEqual({ id: 7 });
    expect(await charge('declined')).toMatchObject({ status: 402, message: 'declined' });
  });

  it('settles nothing twice, and nothing that is not there', async () => {
    const [id] = alarms;
    expect(await run('settle', id!, '--release', ...BY)).toMatchObject({
      exitCode: 1,
      complained: 'The operation is completed, so there is nothing to settle.',
    });
    for (const command of [['show'], ['settle', '--release', ...BY], ['forget', ...BY]])
      expect(await run(command[0]!, NO_RECORD, ...command.slice(1))).toMatchObject({
        exitCode: 1,
        complained: expect.stringContaining('no record') as string,
      });
  });

  it('releases, forgets, counts and purges', async () => {
    await pay('order-8');
    await pay('order-9');
    const [eighth, ninth] = alarms.slice(-2);
    const counted = await run('stats', '--json');
    expect(JSON.parse(counted.printed)).toMatchObject({
      held: 2,
      isComplete: true,
      scopes: { 'POST /payments': 2 },
    });
    expect((await run('settle', eighth!, '--release', ...BY)).exitCode).toBe(0);
    expect((await pay('order-8')).status).toBe(500);
    expect((await run('forget', ninth!, ...BY)).printed).toBe('The record is deleted.');
    expect((await pay('order-9')).status).toBe(500);
    expect((await run('purge')).exitCode).toBe(0);
    const listed = (await run('held', '--json', '--label', 'order-9')).printed.split('\n');
    expect(listed.map((line) => (JSON.parse(line) as { label: string }).label)).toEqual([
      'order-9',
    ]);
  });

  it.each([
    ['an argument that it does not know', ['held', '10m'], /Unexpected argument '10m'/],
    ['no id', ['settle', '--release', ...BY], /Which record/],
    ['nobody who decides', ['settle', NO_RECORD, '--release'], /Who decides, and why/],
    ['no decision', ['settle', NO_RECORD, ...BY], /What happened/],
    ['two decisions', ['settle', NO_RECORD, '--release', '--hold', ...BY], /What happened/],
    ['a status of HTTP that is none', ['settle', NO_RECORD, '--status', '99', ...BY], /200 to 599/],
    ['a value that is no JSON', ['settle', NO_RECORD, '--value', 'paid', ...BY], /takes JSON/],
    ['an age that is none', ['held', '--older-than', 'yesterday'], /olderThan/],
  ])('does nothing with %s, and says what is missing', async (_what, args, remedy) => {
    const { exitCode, complained } = await run(...args);
    expect(exitCode).toBe(2);
    expect(complained).toMatch(remedy);
  });
});
