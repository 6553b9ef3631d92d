import type { ShopProcess } from '../../../sample-app/show/demo/shop-process.js';
import { Visitor, type Call, type Reply } from '../../../sample-app/show/demo/visitor.js';
import type { Effects } from '../../../sample-app/show/effects/effects.js';
import { openShop, openShopOnServer } from './shop.js';

/** Two shops, one on each HTTP adapter, with everything in common that the environment names. */
export class TwoShops {
  private constructor(readonly processes: readonly [ShopProcess, ShopProcess]) {}

  /** Opens both at the same time. */
  static async open(env: NodeJS.ProcessEnv): Promise<TwoShops> {
    const open = env['DATABASE_URL'] === undefined ? openShopOnServer : openShop;
    return new TwoShops(
      await Promise.all([open({ HTTP: 'express', ...env }), open({ HTTP: 'fastify', ...env })]),
    );
  }

  get visitors(): [Visitor, Visitor] {
    const [one, other] = this.processes;
    return [new Visitor(one.url), new Visitor(other.url)];
  }

  /** How often the handler has run, in both together. */
  async runs(route: keyof Effects): Promise<number> {
    const effects = await Promise.all(this.visitors.map((visitor) => visitor.effects()));
    return effects.reduce((sum, counts) => sum + counts[route], 0);
  }

  /** Sends the call to both of them, so many times each, all at once. */
  async sendToBoth(call: Call, times: number): Promise<Reply[]> {
    const sent = this.visitors.map((visitor) => visitor.sendAtOnce(call, times));
    return (await Promise.all(sent)).flat();
  }

  /** Closes those that are still open; resolves with their exit codes. */
  close(): Promise<(number | null)[]> {
    const open = this.processes.filter(
      ({ process }) => process.exitCode === null && process.signalCode === null,
    );
    return Promise.all(open.map((shop) => shop.stop()));
  }
}

export const payment = (headers: Record<string, string>): Call => ({
  path: '/payments',
  headers,
  body: { orderId: 'A-1', amount: 40 },
});

/** Asserts that the first one ran, and that the second one is its reply again. */
export function expectReplay(first: Reply, second: Reply, status = 201): void {
  expect(first.status).toBe(status);
  expect(first.headers).not.toHaveProperty('idempotent-replayed');
  expect(second.headers).toHaveProperty('idempotent-replayed', 'true');
  expect({ status: second.status, bytes: second.body }).toEqual({
    status: first.status,
    bytes: first.body,
  });
}
