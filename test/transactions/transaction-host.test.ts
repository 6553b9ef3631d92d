import { type Child, ChildProgram } from '../support/child-program.js';
import { PLATFORMS } from '../support/http.js';
import { sharedPostgres, type SharedServer } from '../support/servers/shared.js';
import type { Entry, Ready } from './support/bookings.js';

const databases: SharedServer[] = [];
let program: ChildProgram;

beforeAll(async () => {
  program = await ChildProgram.compile('test/transactions/programs/bookings.ts');
});

afterAll(async () => {
  await program?.stop();
  for (const database of databases) await database.stop();
});

async function createDatabase(): Promise<string> {
  const database = await sharedPostgres();
  databases.push(database);
  return database.url;
}

const DATABASES = [
  { name: 'PostgreSQL', hasManySessions: true },
  { name: 'SQLite', hasManySessions: false },
].flatMap((kind) => PLATFORMS.map((platform) => ({ ...kind, platform })));

describe.each(DATABASES)(
  'the transaction host on $name, $platform',
  ({ hasManySessions, platform }) => {
    let app: Child<Ready>;

    beforeAll(async () => {
      app = await program.start<Ready>({
        HTTP: platform,
        MAIN_URL: hasManySessions ? await createDatabase() : '',
        BILLING_URL: hasManySessions ? await createDatabase() : '',
      });
    });

    const url = (path: string): string => `http://127.0.0.1:${app.ready.port}/${path}`;

    const send = async (path: string, entry: Entry) => {
      const response = await fetch(url(path), {
        method: 'POST',
        // A connection that is kept alive may be closing.
        headers: {
          connection: 'close',
          'Content-Type': 'application/json',
          'Idempotency-Key': entry.id,
        },
        body: JSON.stringify(entry),
      });
      const text = await response.text();
      const isReplay = response.headers.get('idempotent-replayed') === 'true';
      return {
        status: response.status,
        isReplay,
        body: text === '' ? undefined : (JSON.parse(text) as unknown),
      };
    };

    const booked = async (prefix: string, source = 'main'): Promise<unknown> =>
      (
        await fetch(url(`bookings/${source}/${prefix}`), { headers: { connection: 'close' } })
      ).json();

    it('is in the transaction of the operation, and @Transactional() joins it', async () => {
      const first = await send('joined', { id: 'joined' });
      const retry = await send('joined', { id: 'joined' });

      expect(first).toEqual({ status: 201, isReplay: false, body: { isOne: true } });
      expect(retry).toEqual({ ...first, isReplay: true });
      expect(await booked('joined')).toEqual(['joined']);
    });

    it('undoes what was written when the handler crashes', async () => {
      const entry: Entry = { id: 'crash', fails: 'crash' };
      expect(await send('joined', entry)).toMatchObject({ status: 500 });
      expect(await send('joined', entry)).toMatchObject({ status: 500, isReplay: false });
      expect(await booked('crash')).toEqual([]);
    });

    it('undoes what was written when the error is recorded', async () => {
      const entry: Entry = { id: 'missing', fails: 'not-found' };
      expect(await send('joined', entry)).toMatchObject({ status: 404, isReplay: false });
      expect(await send('joined', entry)).toMatchObject({ status: 404, isReplay: true });
      expect(await booked('missing')).toEqual([]);
    });

    it('is in another transaction for each of many concurrent calls', async () => {
      const entries = Array.from({ length: 20 }, (_, i): Entry =>
        i % 2 === 0 ? { id: `many-good-${i}` } : { id: `many-bad-${i}`, fails: 'crash' },
      );
      const good = entries.filter(({ fails }) => fails === undefined);
      const replies = await Promise.all(entries.map((entry) => send('joined', entry)));

      const created = replies.filter(({ status }) => status === 201);
      expect(created.map(({ body }) => body)).toEqual(good.map(() => ({ isOne: true })));
      expect(await booked('many-')).toEqual(good.map(({ id }) => id).sort());
    });

    it('commits RequiresNew by itself where there is a second session', async () => {
      expect(await send('apart', { id: 'apart' })).toMatchObject({ status: 500 });
      expect(await booked('apart')).toEqual(hasManySessions ? ['apart, apart'] : []);
    });

    it('undoes Nested work alone when that fails', async () => {
      expect(await send('nested', { id: 'nested' })).toMatchObject({ status: 201 });
      expect(await booked('nested')).toEqual(['nested']);
    });

    it('is there for Mandatory and @InjectTransaction(), and refuses Never', async () => {
      const entry: Entry = { id: 'strict-bad', fails: 'not-found' };
      expect((await send('strict', { id: 'strict' })).body).toEqual({
        refusal: 'TransactionAlreadyActiveError',
      });
      expect(await send('strict', entry)).toMatchObject({ status: 404 });
      expect(await booked('strict')).toEqual(['strict']);
    });

    it('is that of the data source which the operation names', async () => {
      const { body } = await send('billed', { id: 'billed' });

      expect(body).toEqual({ isOne: true, isMainBusy: false });
      expect(await booked('billed', 'billing')).toEqual(['billed']);
      expect(await booked('billed')).toEqual([]);
    });

    it('is left alone by an operation without a transaction', async () => {
      expect((await send('alone', { id: 'alone' })).body).toEqual({ isBusy: false });
      expect(await booked('alone')).toEqual(['alone']);
    });

    it('joins what asks for protection by itself, outside of any request', async () => {
      expect((await send('job', { id: 'job' })).body).toEqual({ isOne: true, isBusy: false });
      expect(await send('job', { id: 'job-bad', fails: 'crash' })).toMatchObject({ status: 404 });
      expect(await booked('job')).toEqual(['job']);
    });

    it('makes no complaint', () => {
      expect(app.errors()).toBe('');
    });
  },
);

describe('a transaction host that is not known', () => {
  it('stops the application when it boots', async () => {
    await expect(program.start({ STRANGE_HOST: 'of another version' })).rejects.toThrow(
      'a version that TypeOrmStore does not know',
    );
  });
});
