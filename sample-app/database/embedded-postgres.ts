import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import type { OnApplicationShutdown } from '@nestjs/common';

/**
 * PostgreSQL inside this process, in memory, behind a socket on a free loopback port: any
 * PostgreSQL driver connects to it as to a server, and there is nothing to install.
 */
export class EmbeddedPostgres implements OnApplicationShutdown {
  private constructor(
    private readonly database: PGlite,
    private readonly server: PGLiteSocketServer,
  ) {}

  static async start(): Promise<EmbeddedPostgres> {
    const database = await PGlite.create();
    const server = new PGLiteSocketServer({ db: database, host: '127.0.0.1', port: 0 });
    await server.start();
    return new EmbeddedPostgres(database, server);
  }

  /** What a driver needs to connect. */
  get url(): string {
    return `postgres://postgres:postgres@${this.server.getServerConn()}/postgres`;
  }

  /** Nest calls this after the connection pool of the module above has ended. */
  async onApplicationShutdown(): Promise<void> {
    await this.server.stop();
    await this.database.close();
  }
}
