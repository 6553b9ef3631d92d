import { newKey } from '../../../sample-app/show/demo/expect.js';
import type { ShopProcess } from '../../../sample-app/show/demo/shop-process.js';
import { json, Visitor, type Call } from '../../../sample-app/show/demo/visitor.js';
import { eventually } from '../../support/http.js';
import type { PrivateServer } from '../../support/servers/private-server.js';
import { openShop, OPENING_MS } from './shop.js';

const START = { path: '/worker' } as const;
const KILL = { method: 'DELETE', path: '/worker' } as const;

const work = (ms: number): Call => ({ path: '/slow', headers: newKey(), body: { ms } });
const atWorker = (call: Call): Call => ({ ...call, path: '/worker/slow' });

/** Where a shop and its worker keep their records. */
export interface Place {
  readonly name: string;
  /** None: the shop needs no server for it. */
  readonly start?: () => Promise<PrivateServer>;
  readonly env: (port: number) => NodeJS.ProcessEnv;
  readonly open?: typeof openShop;
}

/** A worker that is used, killed and left behind by its shop. */
export function describeWorker({ name, start, env, open = openShop }: Place): void {
  describe(`a worker, with records in ${name}`, () => {
    let server: PrivateServer | undefined;
    let shop: ShopProcess;
    let visitor: Visitor;

    beforeAll(async () => {
      server = await start?.();
      shop = await open(env(server?.port ?? 0));
      visitor = new Visitor(shop.url);
    }, OPENING_MS);
    afterAll(async () => {
      await shop?.stop('SIGKILL');
      await server?.stop();
    });

    const state = () => visitor.read<{ state: string; url?: string }>('/worker');

    it(
      'answers what the shop passes on, and the shop replays it',
      async () => {
        await visitor.send(START);
        const call = work(10);
        const first = await visitor.send(atWorker(call));
        const again = await visitor.send(call);
        expect(first.status).toBe(201);
        expect(again.headers).toHaveProperty('idempotent-replayed', 'true');
        expect(json(again)).toEqual(json(first));
      },
      OPENING_MS,
    );

    it(
      'S18: is killed at work, and the shop takes over when its lease is over',
      async () => {
        const call = work(1_500);
        await visitor.send(START);
        const worker = new Visitor((await state()).url!);
        const { 'POST /slow': before } = await worker.effects();
        const lost = visitor.send(atWorker(call));
        await worker.untilRan('POST /slow', before + 1);
        await visitor.send(KILL);
        expect(await lost).toMatchObject({ status: 502 });
        expect(await state()).toEqual({ state: 'none' });
        expect(await visitor.send(call)).toMatchObject({ status: 409 });
        expect(json(await visitor.sendUntilAnswered(call))).toEqual({ ms: 1_500, attempt: 2 });
        expect(await visitor.effects()).toMatchObject({ 'POST /slow': 1 });
      },
      OPENING_MS,
    );

    it(
      'does not outlive a shop that is killed',
      async () => {
        await visitor.send(START);
        const { url } = await state();
        const isThere = () =>
          fetch(new URL('/effects', url)).then(
            ({ ok }) => ok,
            () => false,
          );
        expect(await isThere()).toBe(true);
        await shop.stop('SIGKILL');
        await eventually(async () => !(await isThere()), OPENING_MS);
        expect(await isThere()).toBe(false);
      },
      OPENING_MS,
    );
  });
}
