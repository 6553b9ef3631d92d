import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketHandler, type PGLiteSocketHandlerOptions } from '@electric-sql/pglite-socket';
import type { OnApplicationShutdown } from '@nestjs/common';
import { SessionTurns } from './session-turns.js';

/**
 * PostgreSQL inside this process, in memory, behind a socket on a free loopback port: any
 * PostgreSQL driver connects to it as to a server, and there is nothing to install.
 */
export class EmbeddedPostgres implements OnApplicationShutdown {
  private readonly handlers = new Set<PGLiteSocketHandler>();
  private readonly turns: SessionTurns;
  private readonly server: Server;

  private constructor(private readonly database: PGlite) {
    this.turns = new SessionTurns(database);
    this.server = createServer((socket) => void this.serve(socket));
  }

  static async start(): Promise<EmbeddedPostgres> {
    const postgres = new EmbeddedPostgres(await PGlite.create());
    await once(postgres.server.listen(0, '127.0.0.1'), 'listening');
    return postgres;
  }

  /** What a driver needs to connect. */
  get url(): string {
    const { address, port } = this.server.address() as AddressInfo;
    return `postgres://postgres:postgres@${address}:${port}/postgres`;
  }

  /** Nest calls this after the connection pool of the module above has ended. */
  async onApplicationShutdown(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    await Promise.all([...this.handlers].map((handler) => handler.detach(true)));
    await closed;
    await this.database.close();
  }

  private async serve(socket: Socket): Promise<void> {
    // The class of the queue is not exported, and has private members.
    const queryQueue = this.turns as unknown as PGLiteSocketHandlerOptions['queryQueue'];
    const handler = new PGLiteSocketHandler({ queryQueue, closeOnDetach: true });
    this.handlers.add(handler);
    for (const end of ['close', 'error'])
      handler.addEventListener(end, () => void this.handlers.delete(handler));
    await handler.attach(socket);
  }
}
