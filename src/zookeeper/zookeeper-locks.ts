import { randomUUID } from 'node:crypto';
import { systemClock } from '../engine/clock.js';
import { wrongOption } from '../engine/configuration-error.js';
import { LeasedLock, LockServiceError, within } from '../engine/leased-lock.js';
import type { HeldLock, LockRequest, LockService } from '../engine/lock-service.js';
import { type ZooKeeperClient, ZooKeeperSession } from './zookeeper-client.js';

/** Options of {@link zookeeperLocks}. */
export interface ZooKeeperLocksOptions {
  /**
   * A client of `node-zookeeper-client`, on which `connect()` was called. It ends with its session. With a
   * function, a session that has expired is followed by the client that the function returns, connecting
   * or connected.
   */
  readonly client: ZooKeeperClient | (() => ZooKeeperClient);
  /**
   * The node below which the locks are.
   * @default '/nestjs-idempotency'
   */
  readonly path?: string;
}

const DEFAULT_PATH = '/nestjs-idempotency';
const PATH = /^(\/[\w.-]+)+$/;
const STARTS_WITHIN_MS = 2_000;
const CLEANS_UP_AFTER_MS = 1_000;

/**
 * Keeps the locks of strategy `lock` in ZooKeeper: ephemeral, sequential nodes. Each call waits for the one
 * before it in the server's order, by one watch. The fencing token is the transaction that made the node (its
 * `czxid`). A lock lasts as long as its client's session, so the handlers take no `lease`.
 *
 * @throws {@link IdempotencyConfigurationError}
 */
export function zookeeperLocks(options: ZooKeeperLocksOptions): LockService {
  const { client, path = DEFAULT_PATH } = options;
  const isClient = typeof (client as { readonly getChildren?: unknown } | undefined)?.getChildren;
  if (typeof client !== 'function' && isClient !== 'function')
    throw wrongOption(
      'client',
      client,
      'a client of node-zookeeper-client, or a function that returns one',
      "Pass createClient('host:2181') after its connect().",
    );
  if (typeof path !== 'string' || !PATH.test(path))
    throw wrongOption(
      'path',
      path,
      'an absolute path of letters, digits, dots, dashes and underscores',
      `Leave it out for '${DEFAULT_PATH}'.`,
    );
  return new ZooKeeperLocks(typeof client === 'function' ? client : () => client, path);
}

class ZooKeeperLocks implements LockService {
  readonly decidesLease = true;
  private current: ZooKeeperSession | undefined;

  constructor(
    private readonly connect: () => ZooKeeperClient,
    private readonly path: string,
  ) {}

  async start(warn: (warning: string) => void): Promise<void> {
    try {
      const session = this.session();
      await within(systemClock, STARTS_WITHIN_MS, session.makeFolder(this.path));
    } catch (error) {
      warn(`ZooKeeper, which keeps the locks, cannot be reached yet: ${reasonOf(error)}`);
    }
  }

  async acquire({ id, waits, signal, onWait }: LockRequest): Promise<HeldLock | undefined> {
    const session = this.session();
    // Few folders, which stay: one for each lock would never be deleted.
    const folder = `${this.path}/${id.slice(0, 2)}`;
    // What is refused at once writes nothing.
    if (!waits && (await session.names(folder)).some((name) => name.startsWith(`${id}.`)))
      return undefined;
    const mine = `${id}.${randomUUID()}.`;
    const askedAtMs = systemClock.now();
    let own: string;
    try {
      own = await this.enter(session, folder, mine);
    } catch (error) {
      void cleanUp(session, folder, mine);
      throw error;
    }
    const lock = this.lockOf(session, own, askedAtMs);
    try {
      const isFirst = await this.isFirst(session, folder, own, lock, { waits, signal, onWait });
      if (!isFirst || signal.aborted) {
        await lock.release();
        return undefined;
      }
      const stat = await session.stat(own);
      if (stat === undefined || lock.hasRunOut)
        throw new LockServiceError('The session ended before the lock was used.');
      lock.fencingToken = tokenOf(stat.czxid);
      return lock;
    } catch (error) {
      void lock.release().catch(() => undefined);
      void cleanUp(session, folder, mine);
      throw error;
    }
  }

  /** The session that is alive, or may be. */
  private session(): ZooKeeperSession {
    if (this.current === undefined || this.current.isExpired) {
      const client = this.connect();
      if (this.current?.isOf(client) !== true) this.current = new ZooKeeperSession(client);
    }
    return this.current!;
  }

  private async enter(session: ZooKeeperSession, folder: string, mine: string): Promise<string> {
    const own = await session.enter(`${folder}/${mine}`);
    if (own !== undefined) return own;
    await session.makeFolder(folder);
    const again = await session.enter(`${folder}/${mine}`);
    if (again === undefined) throw new LockServiceError(`Somebody keeps deleting ${folder}.`);
    return again;
  }

  private lockOf(session: ZooKeeperSession, own: string, askedAtMs: number): LeasedLock {
    let stop = (): void => undefined;
    const verbs = {
      // Every request keeps the session alive, so one about the node says both.
      extend: async () => !session.isExpired && (await session.stat(own)) !== undefined,
      release: async () => {
        stop();
        try {
          return await session.remove(own);
        } catch (error) {
          // Its nodes ended with it.
          if (session.isExpired) return false;
          throw error;
        }
      },
    };
    // The node of a session that was given up may still be there.
    const whenLost = (): void => void verbs.release().catch(() => undefined);
    const lock = new LeasedLock(systemClock, session.timeoutMs, askedAtMs, verbs, whenLost);
    stop = session.onExpired(() => lock.lose());
    return lock;
  }

  /** Waits until nobody is before this node. `false`: somebody is, and it waits no longer. */
  private async isFirst(
    session: ZooKeeperSession,
    folder: string,
    own: string,
    lock: LeasedLock,
    { waits, signal, onWait }: Pick<LockRequest, 'waits' | 'signal' | 'onWait'>,
  ): Promise<boolean> {
    const name = own.slice(folder.length + 1);
    while (!signal.aborted) {
      const queue = queueOf(await session.names(folder), name);
      const at = queue.indexOf(name);
      if (at < 0 || lock.isLost)
        throw new LockServiceError('The session ended while waiting for the lock.');
      if (at === 0) return true;
      if (!waits) return false;
      onWait();
      // Only the one before, so that a release wakes one of all that wait.
      await session.gone(`${folder}/${queue[at - 1]}`, [signal, lock.signal]);
    }
    return false;
  }
}

/** The nodes of one lock, in the server's order. Its numbers become negative after 2 147 483 647. */
function queueOf(names: readonly string[], own: string): string[] {
  const [id] = own.split('.', 1);
  return names
    .filter((name) => name.startsWith(`${id}.`))
    .sort((a, b) => (numberOf(a) - numberOf(b)) | 0);
}

function numberOf(name: string): number {
  return Number(name.slice(name.lastIndexOf('.') + 1));
}

/** Deletes what a request left whose answer was lost, as soon as the server can be reached. */
async function cleanUp(session: ZooKeeperSession, folder: string, mine: string): Promise<void> {
  while (!session.isExpired) {
    try {
      for (const name of await session.names(folder))
        if (name.startsWith(mine)) await session.remove(`${folder}/${name}`);
      return;
    } catch {
      await new Promise<void>((resolve) => void systemClock.after(CLEANS_UP_AFTER_MS, resolve));
    }
  }
}

function tokenOf(czxid: Buffer): number {
  const token = Number(czxid.readBigInt64BE());
  if (!Number.isSafeInteger(token))
    throw new LockServiceError(`The transaction ${czxid.toString('hex')} is no safe integer.`);
  return token;
}

function reasonOf(error: unknown): string {
  const { cause = error } = error as { readonly cause?: unknown };
  return cause instanceof Error ? cause.message : String(cause);
}
