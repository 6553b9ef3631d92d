import { currentEdge, isInTransaction, unwatched } from './current-transaction.js';
import type { SecondConnections, SqlExecutor } from './executor.js';

const begun = new WeakSet<SqlExecutor>();

/** Has the client of an executor watched from its first transaction on. */
export function watchOnce(executor: SqlExecutor): void {
  if (begun.has(executor)) return;
  begun.add(executor);
  executor.watch?.({
    areBeside: () => isInTransaction(executor),
    take: async (take, giveBack) => currentEdge(executor)?.cross(take, giveBack) ?? take(),
  });
}

/** Shared by all copies of the package in the process. */
const WATCHED = Symbol.for('nestjs-idempotency:sql-watched');
type Shared = typeof globalThis & { [WATCHED]?: WeakMap<object, SecondConnections[]> };
const watched = ((globalThis as Shared)[WATCHED] ??= new WeakMap<object, SecondConnections[]>());

/**
 * Has everything that is taken from a client go through `patch` once, whoever asks for it.
 *
 * @param patch gets a function that says whose transaction the current code runs in
 */
export function watch(
  client: object,
  patch: (beside: () => SecondConnections | undefined) => void,
): void {
  if (watched.has(client)) return;
  watched.set(client, []);
  patch(() => watched.get(client)?.find((connections) => connections.areBeside()));
}

/** Says who decides about what is taken from a client that is watched. */
export function enlist(client: object, connections: SecondConnections): void {
  watched.get(client)?.push(connections);
}

type Callback<C> = (error: unknown, connection?: C, release?: (error?: unknown) => void) => void;
type TakeByCallback<C> = (callback?: Callback<C>) => PromiseLike<C> | undefined;

/**
 * Pools of `pg` (`connect`) and `mysql2` (`getConnection`). Their `query()` and `execute()` take their
 * connection there as well.
 */
export function watchPool<Name extends string>(
  pool: object,
  method: Name,
  connections: SecondConnections,
): void {
  watch(pool, (beside) => {
    const owner = pool as Record<Name, TakeByCallback<Released>>;
    const take = owner[method].bind(pool);
    owner[method] = (callback) => {
      const found = beside();
      if (found === undefined) return take(callback);
      const taken = found.take(
        () =>
          new Promise<Released>((resolve, reject) => {
            take((error, connection) =>
              connection === undefined ? reject(error as Error) : resolve(connection),
            );
          }),
        (late) => late.release(),
      );
      if (callback === undefined) return taken;
      void taken.then(
        (connection) => callback(undefined, connection, (error) => connection.release(error)),
        (error: unknown) => callback(error),
      );
      return undefined;
    };
  });
  enlist(pool, connections);
}

interface Released {
  release(error?: unknown): void;
}

/** Whatever promises a connection and takes it back: Knex's client, Sequelize's manager. */
export function watchLender<Name extends string>(
  lender: object,
  method: Name,
  giveBack: (connection: object) => unknown,
  connections: SecondConnections,
): void {
  watch(lender, (beside) => {
    const owner = lender as Record<Name, (...args: unknown[]) => Promise<object>>;
    const take = owner[method].bind(lender);
    owner[method] = (...args) => beside()?.take(() => take(...args), giveBack) ?? take(...args);
  });
  enlist(lender, connections);
}

/** A connection, for as long as what it was lent for takes. */
interface Loan<C> {
  readonly connection: C;
  readonly done: (result?: unknown) => void;
  readonly failed: (error: unknown) => void;
}

type Lend<C> = (use: (connection: C) => Promise<unknown>) => Promise<unknown>;

/** Lends through {@link SecondConnections.take}: one that comes too late is not used. */
function lendBeside<C>(
  found: SecondConnections,
  lend: Lend<C>,
  use: (connection: C) => Promise<unknown>,
): Promise<unknown> {
  let whole: Promise<unknown> = Promise.resolve();
  const loan = found.take(
    () =>
      new Promise<Loan<C>>((resolve, reject) => {
        whole = lend(
          (connection) =>
            new Promise((done, failed) => {
              resolve({ connection, done, failed });
            }),
        );
        whole.catch(reject);
      }),
    (late) => late.done(),
  );
  return loan.then(({ connection, done, failed }) => {
    Promise.resolve(use(connection)).then(done, failed);
    return whole;
  });
}

/** The part of Kysely's `QueryExecutor` that is needed here. */
interface KyselyExecutor {
  provideConnection: Lend<object>;
}

/** What makes another executor over the same connections. */
const COPIES = ['withPlugin', 'withPlugins', 'withPluginAtFront', 'withoutPlugins'] as const;
type Copy = (...args: unknown[]) => KyselyExecutor;

/** Has to be called before the application derives anything from its Kysely, such as `withSchema()`. */
export function prepareKysely(db: object): void {
  const { getExecutor } = db as { getExecutor?: () => KyselyExecutor };
  if (typeof getExecutor !== 'function') return;
  const executor = getExecutor.call(db);
  if (typeof executor?.provideConnection !== 'function') return;
  watch(db, (beside) => patchKysely(executor, beside));
}

function patchKysely(executor: KyselyExecutor, beside: () => SecondConnections | undefined): void {
  const lend = executor.provideConnection.bind(executor);
  executor.provideConnection = (use) => {
    const found = beside();
    return found === undefined ? lend(use) : lendBeside(found, lend, use);
  };
  const copies = executor as unknown as Record<string, Copy | undefined>;
  for (const name of COPIES) {
    const copy = copies[name]?.bind(executor);
    if (copy === undefined) continue;
    copies[name] = (...args) => {
      const made = copy(...args);
      patchKysely(made, beside);
      return made;
    };
  }
}

/** True if what is taken from this Kysely can be seen. */
export function isPrepared(db: object): boolean {
  return watched.has(db);
}

export function watchKysely(db: object, connections: SecondConnections): void {
  enlist(db, connections);
}

/** A query of postgres.js. It is sent when somebody waits for it. */
interface LazyQuery {
  handler: (query: LazyQuery) => unknown;
  readonly options: { onexecute?: (connection: unknown) => unknown };
  reject(error: unknown): void;
  cancel(): unknown;
}

/** The part of `postgres()` that Drizzle uses. Its own tags go another way and cannot be seen. */
interface PostgresJs {
  unsafe: (...args: unknown[]) => LazyQuery;
  begin: (...args: unknown[]) => Promise<unknown>;
}

export function watchPostgresJs(client: object, connections: SecondConnections): void {
  watch(client, (beside) => {
    const sql = client as PostgresJs;
    const { unsafe, begin } = sql;
    sql.unsafe = (...args) => {
      const found = beside();
      const query = unsafe(...args);
      return found === undefined ? query : sentBeside(found, query);
    };
    sql.begin = (...args) => {
      const found = beside();
      if (found === undefined) return begin(...args);
      const use = args.pop() as (tx: object) => Promise<unknown>;
      // Its BEGIN goes through `unsafe()`, and has been decided about.
      const lend: Lend<object> = (lent) => unwatched(() => begin(...args, lent));
      return lendBeside(found, lend, use);
    };
  });
  enlist(client, connections);
}

function sentBeside(found: SecondConnections, query: LazyQuery): LazyQuery {
  const { handler } = query;
  query.handler = () => {
    const sent = found.take(
      () =>
        new Promise<void>((resolve) => {
          query.options.onexecute = () => {
            resolve();
            // Others may use the connection as well.
            return true;
          };
          handler(query);
        }),
      () => undefined,
    );
    sent.catch((error: unknown) => {
      query.reject(error);
      query.cancel();
    });
  };
  return query;
}
