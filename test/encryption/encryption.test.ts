import { Body, Controller, Post } from '@nestjs/common';
import {
  type EncryptionOptions,
  IdempotencyService,
  Idempotent,
  type IdempotentOperation,
  Operation,
} from 'nestjs-idempotency';
import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import { RedisStore } from 'nestjs-idempotency/redis';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { Redis } from 'ioredis';
import { randomBytes } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { recordId } from '../../src/keys/record-id.js';
import {
  boot,
  bootError,
  eventually,
  expectProblem,
  expectReplay,
  PATIENT,
  type TestApp,
} from '../support/http.js';
import { startRedis } from '../support/servers/redis.js';
import { MARIADB, POSTGRES, type SqlDatabaseKind, SQLITE } from '../support/sql-databases.js';

const SECRET = 'IBAN DE89 3704 0044 0532 0130 00';
const KEY = randomBytes(32);
const OTHER_KEY = randomBytes(32);

/** Records on a real server, which a test can also read and write without the application. */
interface Place {
  readonly store: IdempotencyStore;
  readonly hasTransactions: boolean;
  stop(): Promise<void>;
}

async function inRedis(): Promise<Place> {
  const server = await startRedis();
  const client = new Redis(server.port);
  const stop = async (): Promise<void> => {
    client.disconnect();
    await server.stop();
  };
  return { store: new RedisStore({ client }), hasTransactions: false, stop };
}

const inSql = (kind: SqlDatabaseKind) => async (): Promise<Place> => {
  const database = await kind.start();
  const dataSource: DataSource = await database.connect({ migrationsRun: true });
  const store = new TypeOrmStore({ dataSource, purge: false });
  return { store, hasTransactions: true, stop: () => database.stop() };
};

const PLACES = [
  ['Redis', inRedis],
  ...[POSTGRES, MARIADB, SQLITE].map((kind) => [kind.name, inSql(kind)] as const),
] as const;

describe.each(PLACES)('encryption over %s', (_name, open) => {
  let place: Place;
  let runs = 0;
  let charges = 0;
  let keys = 0;
  const apps: TestApp[] = [];

  beforeAll(async () => {
    place = await open();
  });

  afterEach(async () => {
    for (const app of apps.splice(0)) await app.close();
    runs = charges = 0;
  });

  afterAll(() => place?.stop());

  const start = async (encryption?: EncryptionOptions): Promise<TestApp> => {
    const app = await boot('express', {
      controllers: controllers(place.hasTransactions),
      idempotency: { ...PATIENT, store: keptOpen(place.store), encryption },
    });
    apps.push(app);
    return app;
  };

  const controllers = (transaction: boolean) => {
    @Controller()
    class PaymentsController {
      @Idempotent()
      @Post('leased')
      leased(): object {
        runs += 1;
        return { runs, account: SECRET };
      }

      @Idempotent({ transaction })
      @Post('one-commit')
      oneCommit(): object {
        runs += 1;
        return { runs, account: SECRET };
      }

      @Idempotent()
      @Post('steps')
      async steps(
        @Body() { fail }: { fail: boolean },
        @Operation() op: IdempotentOperation,
      ): Promise<object> {
        runs += 1;
        const account = await op.step('charge', () => {
          charges += 1;
          return SECRET;
        });
        if (fail && op.attempt === 1) throw new Error('out of order');
        return { account, id: await op.id() };
      }
    }
    return [PaymentsController];
  };

  const newKey = (): string => `key-${(keys += 1)}`;
  const idOf = (path: string, key: string): string => recordId(`POST ${path}`, undefined, key);

  const bytesAt = async (path: string, key: string): Promise<Buffer> =>
    Buffer.from((await place.store.find(idOf(path, key)))!.reply!);

  /** What somebody who can write to the store does: the same record, with another reply. */
  const putReply = async (path: string, key: string, reply: Uint8Array): Promise<void> => {
    const id = idOf(path, key);
    const { fingerprint } = (await place.store.find(id))!;
    await place.store.forget(id);
    const claim = { id, owner: 'intruder', leaseMs: 10_000, ttlMs: 100_000 };
    await place.store.acquire({ ...claim, fingerprint });
    expect(await place.store.complete({ ...claim, reply })).toBe(true);
  };

  /** A claim that was of no use is given back beside the answer. */
  const givenBack = (key: string): Promise<void> =>
    eventually(async () => (await place.store.find(idOf('/steps', key)))!.state === 'released');

  const expectUnreadable = async (app: TestApp, path: string, key: string, body = {}) => {
    const before = runs;
    const reply = await app.send(path, { key, body });
    expectProblem(reply, 500, 'IDEMPOTENCY_RECORD_UNREADABLE');
    expect(runs).toBe(before);
  };

  describe.each(['/leased', '/one-commit'])('of %s', (path) => {
    it('replays after a restart what the store never sees in clear', async () => {
      const key = newKey();
      const first = await (await start({ keys: [KEY] })).send(path, { key, body: {} });
      expect(first.text).toContain(SECRET);
      const kept = await bytesAt(path, key);
      expect(kept.includes(SECRET)).toBe(false);
      expect(kept.includes('account')).toBe(false);
      const retry = await (await start({ keys: [KEY] })).send(path, { key, body: {} });
      expectReplay(first, retry);
      expect(runs).toBe(1);
    });

    it('opens what an older key has sealed, until it is removed', async () => {
      const key = newKey();
      const first = await (await start({ keys: [KEY] })).send(path, { key, body: {} });
      const rotated = await start({ keys: [OTHER_KEY, KEY] });
      expectReplay(first, await rotated.send(path, { key, body: {} }));
      await expectUnreadable(await start({ keys: [OTHER_KEY] }), path, key);
      expect(runs).toBe(1);
    });

    it('runs nothing for a record of which one bit was changed', async () => {
      const app = await start({ keys: [KEY] });
      const key = newKey();
      await app.send(path, { key, body: {} });
      const sealed = await bytesAt(path, key);
      for (const at of [0, 1, 2, 6, 30, sealed.length - 1]) {
        const changed = Buffer.from(sealed);
        changed[at]! ^= 1;
        await putReply(path, key, changed);
        await expectUnreadable(app, path, key);
      }
      await putReply(path, key, sealed);
      expect((await app.send(path, { key, body: {} })).headers['idempotent-replayed']).toBe('true');
    });

    it('runs nothing for a record that was copied under another key', async () => {
      const app = await start({ keys: [KEY] });
      const [mine, yours] = [newKey(), newKey()];
      for (const key of [mine, yours]) await app.send(path, { key, body: {} });
      await putReply(path, mine, await bytesAt(path, yours));
      await expectUnreadable(app, path, mine);
    });

    it('takes records from before only where that is allowed', async () => {
      const key = newKey();
      const first = await (await start()).send(path, { key, body: {} });
      await expectUnreadable(await start({ keys: [KEY] }), path, key);
      const lenient = await start({ keys: [KEY], acceptPlain: true });
      expectReplay(first, await lenient.send(path, { key, body: {} }));
    });

    it('is not forgotten when it is switched off', async () => {
      const key = newKey();
      await (await start({ keys: [KEY] })).send(path, { key, body: {} });
      await expectUnreadable(await start(), path, key);
    });
  });

  describe('of steps', () => {
    it('keeps them from one attempt to the next, without the store seeing them', async () => {
      const key = newKey();
      const body = { fail: true };
      expect((await (await start({ keys: [KEY] })).send('/steps', { key, body })).status).toBe(500);
      const { steps } = (await place.store.find(idOf('/steps', key)))!;
      expect(Buffer.from(steps.get('charge')!).includes(SECRET)).toBe(false);
      const retry = await (await start({ keys: [KEY] })).send('/steps', { key, body });
      expect(retry.json()).toMatchObject({ account: SECRET });
      expect({ runs, charges }).toEqual({ runs: 2, charges: 1 });
    });

    it('runs nothing while they cannot be opened, and goes on when the key is back', async () => {
      const key = newKey();
      const body = { fail: true };
      await (await start({ keys: [KEY] })).send('/steps', { key, body });
      const without = await start({ keys: [OTHER_KEY] });
      await expectUnreadable(without, '/steps', key, body);
      await givenBack(key);
      await expectUnreadable(without, '/steps', key, body);
      await givenBack(key);
      const back = await start({ keys: [OTHER_KEY, KEY] });
      const retry = await back.send('/steps', { key, body });
      expect(retry.json()).toMatchObject({ account: SECRET });
      expect(charges).toBe(1);
    });

    it('repeats none when it is switched off', async () => {
      const key = newKey();
      const body = { fail: true };
      await (await start({ keys: [KEY] })).send('/steps', { key, body });
      const reply = await (await start()).send('/steps', { key, body });
      expect(reply.status).toBe(500);
      expect(reply.json()).toMatchObject({ code: 'IDEMPOTENCY_RECORD_UNREADABLE' });
      expect(charges).toBe(1);
    });
  });

  it('covers values and errors of code, and what operators see of them', async () => {
    const ref = { scope: 'invoice', key: newKey() };
    const service = (app: TestApp) => app.app.get(IdempotencyService);
    const before = service(await start({ keys: [KEY] }));
    expect(await before.run(ref, () => ({ account: SECRET, at: new Date(0) }))).toBeDefined();
    expect(await before.run(ref, () => 'again')).toEqual({ account: SECRET, at: new Date(0) });
    expect(await before.reply(ref)).toMatchObject({ kind: 'value', value: { account: SECRET } });

    const after = service(await start({ keys: [OTHER_KEY] }));
    const refusal = expect.objectContaining({ code: 'IDEMPOTENCY_RECORD_UNREADABLE' });
    await expect(after.run(ref, () => 'again')).rejects.toEqual(refusal);
    await expect(after.reply(ref)).rejects.toEqual(refusal);
    expect(await after.find(ref)).toMatchObject({ state: 'completed', attempt: 1 });
    expect(await after.forget(ref)).toBe(true);
    expect(await after.run(ref, () => 'anew')).toBe('anew');
  });

  it('says why in the event, and nothing of it to the client', async () => {
    const key = newKey();
    await (await start({ keys: [KEY] })).send('/leased', { key, body: {} });
    const app = await start({ keys: [OTHER_KEY] });
    const causes: unknown[] = [];
    app.app.get(IdempotencyService).events$.subscribe((event) => {
      if (event.type === 'rejected') causes.push(event.cause);
    });
    const reply = await app.send('/leased', { key, body: {} });
    expect(causes).toEqual([
      expect.objectContaining({ message: expect.stringContaining('encryption.keys') as string }),
    ]);
    expect(reply.text).not.toContain('encryption');
  });
});

describe('the option', () => {
  const PLAIN = 'a key that is a password';

  it.each<[string, unknown, string]>([
    ['no list', { keys: 'abc' }, 'encryption.keys'],
    ['no keys', { keys: [] }, 'encryption.keys'],
    ['a variable that is not set', { keys: [undefined] }, 'encryption.keys[0]'],
    ['a password', { keys: [KEY, PLAIN] }, 'encryption.keys[1]'],
    ['16 bytes', { keys: [randomBytes(16)] }, 'encryption.keys[0]'],
    ['16 bytes in hexadecimal', { keys: [randomBytes(16).toString('hex')] }, 'encryption.keys[0]'],
    ['a single key', { key: KEY }, 'encryption.key'],
    ['a word', 'on', 'encryption'],
    ['a word for acceptPlain', { keys: [KEY], acceptPlain: 'yes' }, 'encryption.acceptPlain'],
  ])('stops the application with %s, and shows no key', async (_name, encryption, option) => {
    const error = await bootError('express', {
      controllers: [],
      idempotency: { encryption: encryption as EncryptionOptions },
    });
    expect(error.name).toBe('IdempotencyConfigurationError');
    expect(error.message).toContain(option);
    expect(error.message).not.toContain(PLAIN);
  });
});

/** Each application closes its store when it stops; this one is shared by all of a test. */
function keptOpen(store: IdempotencyStore): IdempotencyStore {
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'close') return undefined;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
