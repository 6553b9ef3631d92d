import { wrongOption } from '../../engine/configuration-error.js';
import type { SqlQueries } from './executor.js';

/** A connection of a driver's pool, as far as a transaction needs it. */
interface Connection {
  /** Absent for a connection that is broken. */
  giveBack(error?: Error): void;
  begin(): Promise<unknown>;
  commit(): Promise<unknown>;
  rollback(): Promise<unknown>;
}

/** Begins, runs the work, and commits or rolls back. A connection that does not even do that is not used again. */
export async function onOwnConnection<T>(
  connection: Connection,
  work: () => Promise<T>,
): Promise<T> {
  let broken: Error | undefined;
  try {
    await connection.begin();
    const result = await work();
    await connection.commit();
    return result;
  } catch (error) {
    try {
      await connection.rollback();
    } catch (cause) {
      broken = new Error('The transaction could not be rolled back.', { cause });
    }
    throw error;
  } finally {
    connection.giveBack(broken);
  }
}

const ENDS =
  /^\s*(commit|end|abort|rollback(?!\s+(work\s+|transaction\s+)?to\b)|begin|start\s+transaction)\b/i;

/**
 * The connection as the handler gets it: while the transaction lasts, and without what would end it. A
 * connection that was given back may be in another transaction.
 *
 * @param methods the ones that end a transaction or give back the connection
 */
export function guarded<C extends object>(
  connection: C,
  isOpen: () => boolean,
  methods: readonly string[],
): C {
  return new Proxy(connection, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        if (!isOpen()) throw tooLate(name);
        if (methods.includes(String(name)) || (isQuery(name) && ENDS.test(textOf(args[0])))) {
          throw new Error(
            'The transaction belongs to the operation, which commits it when the handler returns and ' +
              'rolls it back when it throws. Leave out the statement or call that ends it.',
          );
        }
        return Reflect.apply(value, target, args) as unknown;
      };
    },
  });
}

const ENDS_IT = /^\s*(commit|rollback)\b/i;
const SENDS: readonly (string | symbol)[] = ['query', 'execute', 'unsafe', 'savepoint'];

/** The connection as the data layer gets it: once the work is over, it only ends the transaction. */
export function untilOver<C extends object>(connection: C, isOver: () => boolean): C {
  return new Proxy(connection, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function' || !SENDS.includes(name)) return value;
      return (...args: unknown[]): unknown => {
        if (isOver() && !ENDS_IT.test(textOf(args[0]))) throw tooLate(name);
        return Reflect.apply(value, target, args) as unknown;
      };
    },
  });
}

function tooLate(name: string | symbol): Error {
  return new Error(
    `The transaction of the operation has ended: ${String(name)}() came too late. Await everything in the handler.`,
  );
}

/**
 * The store's own statements, where the data layer gives the connection back when the handler ends the transaction, or
 * when it ends one by itself. Others may be in a transaction on that connection.
 */
export function whileOpen(queries: SqlQueries, hasEnded: () => boolean): SqlQueries {
  return {
    query(query) {
      // Locks by name stay with the connection. To release them is good for whoever has it now.
      if (!hasEnded() || query.text.startsWith('DO RELEASE_LOCK')) return queries.query(query);
      return Promise.reject(
        new Error('The transaction of the operation was ended before its handler.'),
      );
    },
  };
}

function isQuery(name: string | symbol): boolean {
  return name === 'query' || name === 'execute';
}

function textOf(query: unknown): string {
  if (typeof query === 'string') return query;
  const { text, sql } = (query ?? {}) as { text?: unknown; sql?: unknown };
  return typeof text === 'string' ? text : typeof sql === 'string' ? sql : '';
}

/** @throws {@link IdempotencyConfigurationError} always */
export function refuse(name: string, given: unknown, accepted: string, remedy: string): never {
  throw wrongOption(`the client of ${name}`, given, accepted, remedy);
}
