import type { DataSource, QueryRunner } from 'typeorm';
import { TransactionEdge, waitsForItself } from '../sql/transaction-edge.js';
import { currentEdge, type Edge } from './current-manager.js';

const REMEDY =
  'Write with op.manager or currentManager(dataSource), or let secondConnection: ' +
  "'join' make repositories and the data source part of the transaction.";
const WITH_MANAGER = 'Use op.manager or currentManager(dataSource).';

/** What {@link RunnerEdge} is told about its operation. */
type RunnerEdgeOptions = Omit<TransactionEdge['options'], 'remedy' | 'isPoolOfOne'>;

/** The edge of a transaction on a query runner. With the policy `join` there is nothing beside it. */
export class RunnerEdge implements Edge {
  private readonly edge: TransactionEdge;
  private shared: QueryRunner | undefined;

  constructor(
    dataSource: DataSource,
    private readonly runner: QueryRunner,
    options: RunnerEdgeOptions,
  ) {
    const isPoolOfOne = (): boolean => isSingle(dataSource);
    this.edge = new TransactionEdge({ ...options, remedy: REMEDY, isPoolOfOne });
  }

  get isOpen(): boolean {
    return this.edge.isOpen;
  }

  close(): void {
    this.edge.isOpen = false;
  }

  get isCrossed(): boolean {
    return this.edge.isCrossed;
  }

  leave(): void {
    this.edge.isCrossed = true;
  }

  /** The transaction itself, for code that asks the data source for a connection. */
  join(): QueryRunner | undefined {
    if (!this.isOpen || this.edge.options.policy !== 'join') return undefined;
    return (this.shared ??= withoutRelease(this.runner));
  }

  /** Connects a runner that is not the transaction's, if it may. */
  connect(runner: QueryRunner, connect: () => Promise<unknown>): Promise<unknown> {
    if (runner === this.runner) return connect();
    return this.edge.cross(connect, () => giveBack(runner), isConnected(runner));
  }
}

/**
 * For statements of the store itself, which belong to no transaction.
 *
 * @throws if the current code has the only connection
 */
export function checkReachable(dataSource: DataSource): void {
  if (currentEdge(dataSource)?.isOpen === true && isSingle(dataSource))
    throw waitsForItself(WITH_MANAGER);
}

/** Shared by all copies of the package in the process. */
const GUARD = Symbol.for('nestjs-idempotency:typeorm-guard');
interface Guard {
  readonly dataSources: WeakSet<DataSource>;
  /** Set while the store makes a runner for itself. */
  isOwn: boolean;
}
type Shared = typeof globalThis & { [GUARD]?: Guard };
const guard = ((globalThis as Shared)[GUARD] ??= { dataSources: new WeakSet(), isOwn: false });

/** A runner for the store itself, which no edge notices. */
export function ownRunner(dataSource: DataSource): QueryRunner {
  guard.isOwn = true;
  try {
    return dataSource.createQueryRunner('master');
  } finally {
    guard.isOwn = false;
  }
}

/**
 * From now on, edges notice what uses the data source. Repositories, managers, query builders and
 * `query()` all get their connection from `createQueryRunner()`.
 */
export function guardConnections(dataSource: DataSource): void {
  if (guard.dataSources.has(dataSource)) return;
  guard.dataSources.add(dataSource);
  const create = dataSource.createQueryRunner.bind(dataSource);
  dataSource.createQueryRunner = (mode) => {
    if (guard.isOwn) return create(mode);
    const joined = currentEdge(dataSource)?.join();
    if (joined !== undefined) return joined;
    const runner = create(mode);
    // Every statement connects first, even on a runner that already has its connection.
    const connect = runner.connect.bind(runner) as () => Promise<unknown>;
    runner.connect = () => {
      const edge = currentEdge(dataSource);
      return edge === undefined ? connect() : edge.connect(runner, connect);
    };
    return runner;
  };
}

/** Whoever takes a runner for a statement releases it afterwards; the transaction goes on. */
function withoutRelease(runner: QueryRunner): QueryRunner {
  return new Proxy(runner, {
    get(target, name) {
      if (name === 'release') return () => Promise.resolve();
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
    set: (target, name, value) => Reflect.set(target, name, value, target),
  });
}

function isConnected(runner: QueryRunner): boolean {
  return (runner as { readonly databaseConnection?: unknown }).databaseConnection !== undefined;
}

function isSingle({ driver }: DataSource): boolean {
  const { master, pool } = driver as {
    master?: { options?: { max?: number } };
    pool?: { config?: { connectionLimit?: number } };
  };
  return master?.options?.max === 1 || pool?.config?.connectionLimit === 1;
}

/** TypeORM keeps a connection that arrives after its runner was released. */
function giveBack(runner: QueryRunner): void {
  (runner as { isReleased: boolean }).isReleased = false;
  void runner.release().catch(() => undefined);
}
