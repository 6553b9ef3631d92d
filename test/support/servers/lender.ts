import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { mkdirSync } from 'node:fs';
import type { Lent, LentKind } from './lender-client.js';
import { lentMariadb } from './lent/mariadb.js';
import { lentNats } from './lent/nats.js';
import { lentPostgres } from './lent/postgres.js';
import { lentRabbitmq } from './lent/rabbitmq.js';
import { lentRedis } from './lent/redis.js';
import type { LentServer, Space } from './lent/server.js';
import { mariadbData } from './mariadb.js';
import { postgresData } from './postgres.js';

const SERVERS: Record<LentKind, (run: string) => Promise<LentServer>> = {
  postgres: lentPostgres,
  mariadb: lentMariadb,
  redis: lentRedis,
  rabbitmq: lentRabbitmq,
  nats: lentNats,
};

const DATA: Record<string, (folder: string) => Promise<void>> = {
  postgres: postgresData,
  mariadb: mariadbData,
};

/**
 * Runs in the process that runs the tests, and lends them places on servers that it starts when
 * somebody first asks: one of each kind for all test files.
 */
export class Lender {
  private readonly servers = new Map<string, Promise<LentServer>>();
  private readonly prepared = new Map<string, Promise<string>>();
  private readonly lent = new Map<number, Space & { readonly borrower: string }>();
  private lastId = 0;

  /** @param folder the temporary folder of the run */
  constructor(private readonly folder: string) {}

  answer(request: IncomingMessage): Promise<unknown> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://lender');
    const kind = searchParams.get('kind') ?? '';
    switch (pathname) {
      case '/borrow':
        return this.lend(kind as LentKind, searchParams.get('for') ?? '');
      case '/give-back':
        return this.giveBack(Number(searchParams.get('id')));
      case '/prepared':
        return this.prepare(kind).then((folder) => ({ folder }));
      default:
        return Promise.reject(new Error(`Nothing is lent at ${pathname}.`));
    }
  }

  /** What a test file borrowed and did not give back. */
  async giveBackAllOf(borrower: string): Promise<void> {
    for (const [id, space] of this.lent) if (space.borrower === borrower) await this.giveBack(id);
  }

  async stop(): Promise<void> {
    const servers = await Promise.allSettled(this.servers.values());
    for (const server of servers) if (server.status === 'fulfilled') await server.value.stop();
  }

  private async lend(kind: LentKind, borrower: string): Promise<Lent> {
    const server = await once(this.servers, kind, () => SERVERS[kind](this.folder));
    const space = await server.lend();
    const id = (this.lastId += 1);
    this.lent.set(id, { ...space, borrower });
    return { id, url: space.url, port: space.port, space: space.name };
  }

  private async giveBack(id: number): Promise<Record<string, never>> {
    const space = this.lent.get(id);
    this.lent.delete(id);
    await space?.free();
    return {};
  }

  private prepare(kind: string): Promise<string> {
    return once(this.prepared, kind, async () => {
      const folder = join(this.folder, `prepared-${kind}`);
      mkdirSync(folder);
      await DATA[kind]?.(folder);
      return folder;
    });
  }
}

/** Made by who asks first; who asks meanwhile waits for the same, and a failure is all's. */
function once<T>(made: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const present = made.get(key);
  if (present !== undefined) return present;
  const making = make();
  made.set(key, making);
  return making;
}
