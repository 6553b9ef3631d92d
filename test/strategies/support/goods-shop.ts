import { type Arrived, type Point, STOP_HEADER } from '../../processes/support/crash.js';
import type { Share, SQL_SERVERS } from '../../processes/support/servers.js';
import { sqlOptions } from '../../processes/support/open-store.js';
import { type Child, ChildProgram, nextMessage } from '../../support/child-program.js';
import { DataSource } from 'typeorm';
import { ENTITIES } from './entities.js';

type SqlServer = (typeof SQL_SERVERS)[number];

/** The first message of the program `goods-shop`. */
export interface Ready {
  readonly port: number;
}

export type GoodsShop = Child<Ready>;

export interface Answer {
  readonly status: number;
  readonly replayed: boolean;
  readonly code: string | undefined;
}

/** Shops of one database, each a process of its own, and what the test sees it with. */
export class GoodsShops {
  private lastId = 0;

  private constructor(
    private readonly of: SqlServer,
    private readonly share: Share,
    readonly dataSource: DataSource,
    private readonly program: ChildProgram,
  ) {}

  static async on(of: SqlServer): Promise<GoodsShops> {
    const share = await of.share();
    const dataSource = new DataSource({
      ...sqlOptions(of.name, share.url),
      entities: ENTITIES,
      synchronize: true,
    });
    await dataSource.initialize();
    const program = await ChildProgram.compile('test/strategies/programs/goods-shop.ts');
    return new GoodsShops(of, share, dataSource, program);
  }

  open(): Promise<GoodsShop> {
    return this.program.start<Ready>({ SERVER: this.of.name, PLACE: this.share.url });
  }

  /** The id of goods and of an order that are there from now on. */
  async add(): Promise<number> {
    const id = (this.lastId += 1);
    for (const entity of ['goods', 'orders'])
      await this.dataSource.getRepository(entity).insert({ id });
    return id;
  }

  async close(): Promise<void> {
    await this.program.stop();
    await this.dataSource.destroy();
    await this.share.stop();
  }
}

export interface Sent {
  readonly text?: string;
  readonly user?: string;
  readonly stopsAt?: Point;
}

/** Changes goods at version 1, or pays for an order. */
export async function send(
  { ready }: GoodsShop,
  what: 'goods' | 'orders' | 'locked',
  id: number,
  { text = 'x', user = 'alice', stopsAt }: Sent = {},
): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${ready.port}/${what}/${id}`, {
    method: 'PUT',
    headers: {
      // A connection that is kept alive may be closing.
      connection: 'close',
      'If-Match': '"1"',
      'X-User': user,
      'Content-Type': 'application/json',
      ...(stopsAt && { [STOP_HEADER]: stopsAt }),
    },
    body: JSON.stringify({ text }),
  });
  const { code } = (await response.json()) as { code?: string };
  const replayed = response.headers.get('idempotent-replayed') === 'true';
  return { status: response.status, replayed, code };
}

/** Resolves when the call has come to the point at which it stands still. */
export async function sendUpTo(
  stopsAt: Point,
  shop: GoodsShop,
  what: 'goods' | 'orders',
  id: number,
): Promise<void> {
  const arrived = nextMessage<Arrived>(shop.process);
  const answer = send(shop, what, id, { stopsAt });
  // The process is killed before it answers.
  answer.catch(() => undefined);
  await Promise.race([
    arrived,
    answer.then(({ status }) => Promise.reject(new Error(`answered ${status} instead`))),
  ]);
}
