import { borrow, giveBack, type LentKind } from './lender-client.js';

/**
 * A place of the caller's own on a server that all tests of the run share: nobody else sees what is
 * in it. A test that kills, pauses or configures its server takes a server of its own instead.
 */
export interface SharedServer {
  /** With the place in it: connect to this, not to the port. */
  readonly url: string;
  readonly port: number;
  /** Empties the place and gives it back. */
  stop(): Promise<void>;
}

/** A database on the shared PostgreSQL, which has `pg_stat_statements` preloaded. */
export const sharedPostgres = (): Promise<SharedServer & { readonly database: string }> =>
  shared('postgres', (database) => ({ database }));

/** A database on the shared MariaDB. */
export const sharedMariadb = (): Promise<SharedServer & { readonly database: string }> =>
  shared('mariadb', (database) => ({ database }));

/** A database, by its number, of the shared Redis. Channels and the server's counters are common. */
export const sharedRedis = (): Promise<SharedServer & { readonly database: number }> =>
  shared('redis', (database) => ({ database: Number(database) }));

/** A virtual host on the shared RabbitMQ. */
export const sharedRabbitmq = (): Promise<SharedServer & { readonly vhost: string }> =>
  shared('rabbitmq', (vhost) => ({ vhost }));

/** An account on the shared NATS; its credentials are in the URL, and in `user` and `pass`. */
export const sharedNats = (): Promise<
  SharedServer & { readonly user: string; readonly pass: string }
> => shared('nats', (user) => ({ user, pass: user }));

async function shared<More>(
  kind: LentKind,
  more: (space: string) => More,
): Promise<SharedServer & More> {
  const lent = await borrow(kind);
  return { url: lent.url, port: lent.port, stop: () => giveBack(lent), ...more(lent.space) };
}
