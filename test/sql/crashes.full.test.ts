import { IdempotencyService } from 'nestjs-idempotency';
import { SqlStore } from 'nestjs-idempotency/sql';
import { once } from 'node:events';
import { type Child, ChildProgram } from '../support/child-program.js';
import { boot, eventually, PATIENT, type TestApp } from '../support/http.js';
import { Random } from '../support/random.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { PG } from './support/drivers.js';
import { type Layers, openTwice } from './support/layer.js';
import { LAYERS } from './support/layers.js';
import { PRISMA_PG } from './support/prisma.js';

/** How many operations of each layer lose their process. */
const CRASHES = Number(process.env.CRASHES ?? 16);
const SEED = Number(process.env.CRASH_SEED ?? 16);

/** As many as the process has connections, so that they are at different statements when it is killed. */
const AT_ONCE = 8;
/** At least so many messages does one operation send, from BEGIN to COMMIT. */
const MESSAGES = 6;

const POSTGRES = [PG, PRISMA_PG, ...LAYERS].filter(({ dialect }) => dialect === 'postgres');

describe.each(POSTGRES.map((layer) => [layer.name]))(
  'a process that pays over %s and is killed between any two statements',
  (name) => {
    let layers: Layers;
    let proxy: TcpProxy;
    let program: ChildProgram;
    let survivor: TestApp;

    beforeAll(async () => {
      layers = await openTwice(PG, 2);
      const url = new URL(layers.url);
      proxy = await TcpProxy.start(Number(url.port));
      program = await ChildProgram.compile('test/sql/programs/paying.ts');
      const store = new SqlStore({ executor: layers.layer.executor, purge: false });
      survivor = await boot('express', { controllers: [], idempotency: { ...PATIENT, store } });
    });

    afterAll(async () => {
      await survivor?.close();
      await program?.stop();
      await proxy?.stop();
      await layers?.stop();
    });

    const query = <R>(text: string): Promise<readonly R[]> =>
      layers.layer.query(text) as Promise<readonly R[]>;

    const start = (): Promise<Child<object>> => {
      const url = new URL(layers.url);
      url.port = String(proxy.port);
      return program.start({ LAYER: name, DATABASE_URL: url.href });
    };

    /** Kills the process at one of its messages to the database: before the server has it, or with its answer. */
    const killAt = async (message: number, cut: 'before' | 'after', keys: readonly string[]) => {
      const child = await start();
      const paid = new Set<string>();
      child.process.on('message', ({ paid: key = '' }: { paid?: string }) => {
        paid.add(key);
        if (paid.size === keys.length) child.process.kill('SIGKILL');
      });
      const gone = once(child.process, 'exit');
      let sent = 0;
      proxy.fate = () => {
        if ((sent += 1) !== message) return undefined;
        child.process.kill('SIGKILL');
        return cut;
      };
      child.process.send([...keys]);
      await gone;
      proxy.fate = undefined;
      proxy.cutAll();
      return keys.filter((key) => !paid.has(key));
    };

    it(`never leaves an effect without a record, or the other way round: ${CRASHES} times`, async () => {
      const service = survivor.app.get(IdempotencyService);
      const random = new Random(SEED);
      const isThere = async (key: string): Promise<boolean> =>
        (await query(`SELECT id FROM payments WHERE id = '${key}'`)).length === 1;
      const left = { both: 0, neither: 0 };
      for (let round = 0; left.both + left.neither < CRASHES; round += 1) {
        const keys = Array.from({ length: AT_ONCE }, (_, i) => `${round} ${i}`);
        const message = random.between(1, MESSAGES * AT_ONCE);
        const killed = await killAt(message, round % 2 === 0 ? 'before' : 'after', keys);
        // The server ends what the process has left, and may commit it: the COMMIT can be on its way.
        await eventually(async () => {
          const rows = await query(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()",
          );
          return rows.length === 0;
        });
        for (const key of killed) {
          const [isPaid, record] = [await isThere(key), await service.find({ scope: 'pay', key })];
          expect([key, record?.state]).toEqual([key, isPaid ? 'completed' : undefined]);
          left[isPaid ? 'both' : 'neither'] += 1;
        }
        for (const key of keys) {
          const again = await service.run({ scope: 'pay', key, transaction: true }, async (op) => {
            await layers.layer.insert(op.tx, 'payments', key);
            return key;
          });
          expect([again, await isThere(key)]).toEqual([key, true]);
        }
      }
      expect(left.neither).toBeGreaterThan(0);
    });
  },
);
