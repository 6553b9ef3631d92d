import { Body, Controller, Post } from '@nestjs/common';
import { Idempotent, type IdempotentOperation, Operation } from 'nestjs-idempotency';
import { outsideTransaction, SqlStore } from 'nestjs-idempotency/sql';
import { Gate } from 'nestjs-idempotency/testing';
import { boot, eventually, PATIENT, type Reply, type TestApp } from '../../support/http.js';
import { type Layer, type Layers, openTwice } from './layer.js';

interface Work {
  readonly way: string;
  readonly id: string;
}

const CONNECTIONS = 3;
const STORE_TIMEOUT_MS = 1_000;

/** Work that leaves the transaction of its operation, in every way in which the layer lets it. */
export function describeEscapes(layer: Layer): void {
  describe(`work beside the transaction of an operation with ${layer.name}`, () => {
    let layers: Layers;
    let shop: TestApp;
    let gate: Gate;
    let calls = 0;
    let ways: string[];

    beforeAll(async () => {
      layers = await openTwice(layer, CONNECTIONS);
      const { executor, insert, query, ways: more = {} } = layers.layer;
      ways = ['query', ...Object.keys(more)];
      const escape = ({ way, id }: Work): Promise<unknown> => {
        const text = `INSERT INTO payments VALUES ('${id}')`;
        return way === 'query' ? query(text) : more[way]!(text);
      };

      @Controller()
      class EscapesController {
        @Post('warn')
        @Idempotent({ transaction: true })
        async warn(@Body() work: Work): Promise<void> {
          await escape(work);
          throw new Error('out of order');
        }

        @Post('refuse')
        @Idempotent({ transaction: true, secondConnection: 'refuse' })
        async refuse(@Body() work: Work): Promise<void> {
          await escape(work);
        }

        @Post('allow')
        @Idempotent({ transaction: true, secondConnection: 'allow' })
        async allow(@Body() work: Work): Promise<void> {
          await escape(work);
          throw new Error('out of order');
        }

        @Post('meant')
        @Idempotent({ transaction: true, secondConnection: 'refuse' })
        async meant(@Body() work: Work): Promise<void> {
          await outsideTransaction(() => escape(work));
          throw new Error('out of order');
        }

        @Post('inside')
        @Idempotent({ transaction: true, secondConnection: 'refuse' })
        async inside(
          @Body() { id }: Work,
          @Operation() operation: IdempotentOperation,
        ): Promise<void> {
          await insert(operation.tx, 'payments', id);
          await operation.step('noted', () => 'noted');
        }

        @Post('greedy')
        @Idempotent({ transaction: true, secondConnection: 'allow' })
        async greedy(@Body() work: Work): Promise<void> {
          await gate.pass();
          await escape(work);
        }
      }
      shop = await boot('express', {
        controllers: [EscapesController],
        idempotency: {
          ...PATIENT,
          storeTimeout: STORE_TIMEOUT_MS,
          store: new SqlStore({ executor, purge: false }),
        },
      });
    });

    afterAll(async () => {
      await shop?.close();
      await layers?.stop();
    });

    beforeEach(() => {
      shop.complaints.length = 0;
      gate = new Gate();
    });

    const send = (path: string, way: string, id: string): Promise<Reply> =>
      shop.send(`/${path}`, { key: `${(calls += 1)}`, body: { way, id } });
    const isThere = async (id: string): Promise<boolean> =>
      (await layers.other.query(`SELECT id FROM payments WHERE id = '${id}'`)).length === 1;

    it('stays when the operation is undone, unless it is refused', async () => {
      for (const way of ways)
        for (const [path, stays] of [
          ['warn', true],
          ['refuse', false],
          ['allow', true],
          ['meant', true],
        ] as const) {
          const { status } = await send(path, way, `${path} ${way}`);
          const found = await isThere(`${path} ${way}`);
          expect([way, path, status, found]).toEqual([way, path, 500, stays]);
        }
      const said = shop.complaints.join('\n');
      expect(said).toMatch(/POST \/refuse asked for a second connection.*op\.tx/);
      expect(said).not.toMatch(/POST \/(allow|meant) (uses|asked)/);
    });

    it('is warned of once per handler, with the remedy', async () => {
      const store = new SqlStore({ executor: layers.layer.executor, purge: false });
      const warnings: string[] = [];
      await store.start((warning) => warnings.push(warning));
      for (const way of [...ways, ...ways]) {
        const transaction = await store.beginTransaction({
          source: undefined,
          lockWaitMs: 0,
          secondConnection: 'warn',
          scope: 'POST /noisy',
        });
        const { query, ways: more = {} } = layers.layer;
        await transaction.run(() => (way === 'query' ? query : more[way]!)('SELECT 1'));
        await transaction.rollback();
      }
      expect(warnings).toEqual([
        expect.stringMatching(/^POST \/noisy uses a second .*op\.tx.*'allow'/),
      ]);
    });

    it('is not what the transaction itself does', async () => {
      expect((await send('inside', 'query', 'inside')).status).toBe(201);
      expect(shop.complaints).toEqual([]);
      expect(await isThere('inside')).toBe(true);
    });

    it('does not use up the pool: who gets none in time is told why, and others are served', async () => {
      const all = Array.from({ length: CONNECTIONS }, (_, i) =>
        send('greedy', ways[i % ways.length]!, `greedy ${i}`),
      );
      await gate.reached(CONNECTIONS);
      gate.open();
      const statuses = (await Promise.all(all)).map(({ status }) => status);
      expect(statuses).toContain(500);
      expect(shop.complaints.join('\n')).toMatch(/none within 1000 ms.*op\.tx.*larger pool/);
      let next = 0;
      await eventually(
        async () => (await send('inside', 'query', `next ${(next += 1)}`)).status === 201,
      );
    });
  });
}
