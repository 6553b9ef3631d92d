import { once } from 'node:events';
import { newKey } from '../../../sample-app/show/demo/expect.js';
import { placeOrder } from '../../../sample-app/show/demo/scenarios/orders.js';
import type { Call, Visitor } from '../../../sample-app/show/demo/visitor.js';
import type { Effects } from '../../../sample-app/show/effects/effects.js';
import { type DatabaseKind, whileLocked } from '../../sample/support/databases.js';
import { payment, TwoShops } from '../../sample/support/two-shops.js';
import type { Servers, Shop } from './servers.js';

export const LEASE_MS = 2_000;

/** Two shops, of which one was killed while it was in the middle of all its calls. */
export class KilledShop {
  readonly order: Call;
  readonly payment = payment(newKey());
  readonly claim: Call = { path: '/coupons/spring/claim' };
  readonly slow: Call = { path: '/slow', headers: newKey(), body: { ms: LEASE_MS } };

  private constructor(
    private readonly shops: TwoShops,
    readonly survivor: Visitor,
    token: Record<string, string>,
  ) {
    this.order = placeOrder(token);
  }

  static async on(kind: DatabaseKind, servers: Servers, shop: Shop): Promise<KilledShop> {
    const environment = await servers.environment(shop);
    const shops = await TwoShops.open({ ...environment, LEASE: `${LEASE_MS}ms` });
    const victim = shop.http === 'express' ? 0 : 1;
    const survivor = shops.visitors[1 - victim]!;
    const killed = new KilledShop(shops, survivor, await survivor.token());
    // Whatever writes waits at its table, until the process is dead.
    await whileLocked(kind, environment.DATABASE_URL, ['orders', 'payments', 'coupons'], () =>
      killed.kill(victim),
    );
    return killed;
  }

  private async kill(victim: 0 | 1): Promise<void> {
    const { process } = this.shops.processes[victim];
    const dying = this.shops.visitors[victim];
    const calls: [Call, keyof Effects][] = [
      [this.order, 'POST /orders'],
      [this.payment, 'POST /payments'],
      [this.claim, 'POST /coupons/:id/claim'],
      [this.slow, 'POST /slow'],
    ];
    await Promise.all(calls.map(([call, route]) => dying.loseReply(call, route)));
    const gone = once(process, 'exit');
    process.kill('SIGKILL');
    await gone;
  }

  close(): Promise<unknown> {
    return this.shops.close();
  }
}
