import type { Point } from '../../processes/support/crash.js';
import type { SQL_SERVERS } from '../../processes/support/servers.js';
import { sqlOptions } from '../../processes/support/open-store.js';
import { type Child, ChildProgram, nextMessage } from '../../support/child-program.js';
import type { PrivateServer } from '../../support/servers/private-server.js';
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
    private readonly server: PrivateServer,
    readonly dataSource: DataSource,
    private readonly program: ChildProgram,
  ) {}

  static async on(of: SqlServer): Promise<GoodsShops> {
    const server = await of.start();
    const dataSource = new DataSource({
      ...sqlOptions(of.name, server.port),
      entities: ENTITIES,
      synchronize: true,
    });
    await dataSource.initialize();
    const program = await ChildProgram.compile('test/strategies/programs/goods-shop.ts');
    return new GoodsShops(of, server, dataSource, program);
  }

  open(stopsAt: Point | '' = ''): Promise<GoodsShop> {
    return this.program.start<Ready>({
      SERVER: this.of.name,
      SERVER_PORT: String(this.server.port),
      STOPS_AT: stopsAt,
    });
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
    await this.server.stop();
  }
}

export interface Sent {
  readonly text?: string;
  readonly user?: string;
}

/** Changes goods at version 1, or pays for an order. */
export async function send(
  { ready }: GoodsShop,
  what: 'goods' | 'orders' | 'locked',
  id: number,
  { text = 'x', user = 'alice' }: Sent = {},
): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${ready.port}/${what}/${id}`, {
    method: 'PUT',
    headers: { 'If-Match': '"1"', 'X-User': user, 'Content-Type': 'application/json' },
    body: JSON.stringify({ text }),
  });
  const { code } = (await response.json()) as { code?: string };
  const replayed = response.headers.get('idempotent-replayed') === 'true';
  return { status: response.status, replayed, code };
}

/** Resolves when the call has come to the point at which its process stops. */
export async function sendUpToThePoint(
  shop: GoodsShop,
  what: 'goods' | 'orders',
  id: number,
): Promise<void> {
  const arrived = nextMessage(shop.process);
  // The process is killed before it answers.
  void send(shop, what, id).catch(() => undefined);
  await arrived;
}
