import { type Child, ChildProgram, nextMessage } from '../../support/child-program.js';
import { eventually } from '../../support/http.js';
import type { PrivateServer } from '../../support/servers/private-server.js';
import type { Arrived, Paid, Point, Protection, Ready, Strategy } from './crash.js';
import { type OpenStore, openStore } from './open-store.js';
import type { SharedServer } from './servers.js';

export const LEASE_MS = 1_000;
/** What a busy machine may add to any bound. */
export const SLACK_MS = 2_000;
export const STORE_TIMEOUT_MS = 1_000;

export type Shop = Child<Ready>;

export interface Answer {
  readonly status: number;
  readonly replayed: boolean;
  readonly body: Partial<Paid> & { readonly code?: string };
}

/** Shops of one server, each a process of its own. */
export class Shops {
  private constructor(
    private readonly of: SharedServer,
    readonly server: PrivateServer,
    /** What the test itself sees the server with. */
    readonly books: OpenStore,
    private readonly program: ChildProgram,
    private readonly strategy: Strategy,
  ) {}

  static async on(of: SharedServer, strategy: Strategy = 'unique-key'): Promise<Shops> {
    const server = await of.start();
    const books = await openStore(of.name, server.port);
    return new Shops(
      of,
      server,
      books,
      await ChildProgram.compile('test/processes/programs/shop.ts'),
      strategy,
    );
  }

  /** @param patience how much longer than usual its lease and its time-out are */
  open(protection: Protection, stopsAt: Point | '' = '', patience = 1): Promise<Shop> {
    return this.program.start<Ready>({
      SERVER: this.of.name,
      SERVER_PORT: String(this.server.port),
      STOPS_AT: stopsAt,
      PROTECTION: protection,
      STRATEGY: this.strategy,
      LEASE_MS: String(LEASE_MS * patience),
      STORE_TIMEOUT_MS: String(STORE_TIMEOUT_MS * patience),
    });
  }

  async close(): Promise<void> {
    await this.program.stop();
    await this.books.close();
    await this.server.stop();
  }
}

export async function pay({ ready }: Shop, key: string, amount?: number): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${ready.port}/payments`, {
    method: 'POST',
    headers: { 'Idempotency-Key': key, 'Content-Type': 'application/json' },
    ...(amount !== undefined && { body: JSON.stringify({ amount }) }),
  });
  return {
    status: response.status,
    replayed: response.headers.get('idempotent-replayed') === 'true',
    body: (await response.json()) as Answer['body'],
  };
}

/** A token of the shop's, to be used as key. */
export async function tokenFrom({ ready }: Shop): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${ready.port}/idempotency/tokens`, {
    method: 'POST',
  });
  return ((await response.json()) as { token: string }).token;
}

/** Calls, and resolves when the call has come to the point at which its process stops. */
export async function payUpToThePoint(
  shop: Shop,
  key: string,
): Promise<{ answer: Promise<Answer> }> {
  const arrived = nextMessage<Arrived>(shop.process);
  const answer = pay(shop, key);
  // The process may be killed before it answers.
  answer.catch(() => undefined);
  await Promise.race([
    arrived,
    answer.then(({ status }) => Promise.reject(new Error(`answered ${status} instead`))),
  ]);
  return { answer };
}

/** Repeats the call as a client would, until it is told something else than to come back. */
export async function retry(
  shop: Shop,
  key: string,
): Promise<Answer & { readonly afterMs: number }> {
  const startedAt = performance.now();
  let answer: Answer | undefined;
  await eventually(async () => {
    answer = await pay(shop, key);
    return answer.body.code !== 'IDEMPOTENCY_KEY_IN_USE';
  }, 10_000);
  return { ...answer!, afterMs: performance.now() - startedAt };
}

export const keyOf = (text: string): string => text.replaceAll(/\W+/g, '-');
