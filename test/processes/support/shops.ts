import { type Child, ChildProgram, nextMessage } from '../../support/child-program.js';
import { eventually } from '../../support/http.js';
import type { PrivateServer } from '../../support/servers/private-server.js';
import {
  type Arrived,
  type Paid,
  type Point,
  type Protection,
  type Ready,
  STOP_HEADER,
  type Strategy,
} from './crash.js';
import {
  type LayerName,
  type OpenStore,
  openStore,
  type Place,
  type ServerName,
} from './open-store.js';
import type { Share, SharedServer } from './servers.js';

/** Of processes that are killed or stopped: others wait for its end. */
export const SHORT_LEASE_MS = 1_000;
/** Longer than a busy machine stands still. */
const LEASE_MS = 30_000;
const STORE_TIMEOUT_MS = 30_000;
const PATIENCE_MS = 60_000;

export type Shop = Child<Ready>;

/** A server, or a data layer on one. */
export type AnyServer = SharedServer<ServerName | LayerName>;

export interface Answer {
  readonly status: number;
  readonly replayed: boolean;
  readonly body: Partial<Paid> & { readonly code?: string };
}

/** What is asked of a shop. */
export interface Payment {
  readonly key: string;
  readonly strategy?: Strategy;
  readonly protection?: Protection;
  readonly amount?: number;
}

interface ShopOptions {
  readonly leaseMs?: number;
  readonly storeTimeoutMs?: number;
  /** Connections to the database; of each transaction that stands still there is one. */
  readonly poolSize?: number;
}

/** Shops of one server, each a process of its own. */
export class Shops<On = Share> {
  private constructor(
    private readonly of: AnyServer,
    readonly server: On,
    private readonly place: Place,
    /** What the test itself sees the server with. */
    readonly books: OpenStore,
    private readonly program: ChildProgram,
    private readonly release: () => Promise<unknown>,
  ) {}

  /** On a server that other tests may use as well. */
  static async sharing(of: AnyServer): Promise<Shops> {
    const share = await of.share();
    return Shops.on(of, share, share.url, () => share.stop());
  }

  /** On a server of its own, which may be killed, paused and reconfigured. */
  static async alone(of: AnyServer): Promise<Shops<PrivateServer>> {
    const server = await of.start();
    return Shops.on(of, server, server.port, () => server.stop());
  }

  private static async on<On>(
    of: AnyServer,
    server: On,
    place: Place,
    release: () => Promise<unknown>,
  ): Promise<Shops<On>> {
    const [books, program] = await Promise.all([
      openStore(of.name, place),
      ChildProgram.compile('test/processes/programs/shop.ts'),
    ]);
    return new Shops(of, server, place, books, program, release);
  }

  open({
    leaseMs = LEASE_MS,
    storeTimeoutMs = STORE_TIMEOUT_MS,
    poolSize = 10,
  }: ShopOptions = {}): Promise<Shop> {
    return this.program.start<Ready>({
      SERVER: this.of.name,
      PLACE: String(this.place),
      LEASE_MS: String(leaseMs),
      STORE_TIMEOUT_MS: String(storeTimeoutMs),
      POOL_SIZE: String(poolSize),
    });
  }

  async close(): Promise<void> {
    await this.program.stop();
    await this.books.close();
    await this.release();
  }
}

export async function pay(
  { ready }: Shop,
  { key, strategy = 'unique-key', protection = 'rerun', amount }: Payment,
  stopsAt?: Point,
): Promise<Answer> {
  const url = `http://127.0.0.1:${ready.port}/payments/${strategy}/${protection}`;
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      // A connection that is kept alive may be closing.
      connection: 'close',
      'Idempotency-Key': key,
      'Content-Type': 'application/json',
      ...(stopsAt && { [STOP_HEADER]: stopsAt }),
    },
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
    headers: { connection: 'close' },
  });
  return ((await response.json()) as { token: string }).token;
}

/** A call that stands still. */
export interface StandingCall {
  readonly answer: Promise<Answer>;
  /** Of its record. */
  readonly id: string;
}

/** Calls, and resolves when the call has come to its point. */
export async function payUpTo(point: Point, shop: Shop, payment: Payment): Promise<StandingCall> {
  const arrived = nextMessage<Arrived>(shop.process);
  const answer = pay(shop, payment, point);
  // The process may be killed before it answers.
  answer.catch(() => undefined);
  const { id } = await Promise.race([
    arrived,
    answer.then(({ status }) => Promise.reject(new Error(`answered ${status} instead`))),
  ]);
  return { answer, id };
}

/** Repeats the call as a client would, until it is told something else than to come back. */
export async function retry(shop: Shop, payment: Payment, stopsAt?: Point): Promise<Answer> {
  let answer: Answer | undefined;
  await eventually(async () => {
    answer = await pay(shop, payment, stopsAt);
    return answer.body.code !== 'IDEMPOTENCY_KEY_IN_USE';
  }, PATIENCE_MS);
  return answer!;
}

export const keyOf = (text: string): string => text.replaceAll(/\W+/g, '-');
