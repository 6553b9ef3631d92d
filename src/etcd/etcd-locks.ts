import { systemClock } from '../engine/clock.js';
import { wrongOption } from '../engine/configuration-error.js';
import { LeasedLock, LockServiceError, within } from '../engine/leased-lock.js';
import type { HeldLock, LockRequest, LockService } from '../engine/lock-service.js';
import type { EtcdClient, EtcdLease } from './etcd-client.js';

/** Options of {@link etcdLocks}. */
export interface EtcdLocksOptions {
  /** An `Etcd3` of the package `etcd3`, or one of its namespaces. */
  readonly client: EtcdClient;
  /**
   * What the keys of the locks begin with.
   * @default 'nestjs-idempotency/'
   */
  readonly prefix?: string;
}

const DEFAULT_PREFIX = 'nestjs-idempotency/';
const STARTS_WITHIN_MS = 2_000;

/**
 * Keeps the locks of strategy `lock` in etcd: each call puts a key under a lease of its own, and waits for the
 * key before it by one watch. The fencing token is the revision that created the key. `lease` is rounded up to
 * whole seconds.
 *
 * @throws {@link IdempotencyConfigurationError}
 */
export function etcdLocks(options: EtcdLocksOptions): LockService {
  const { client, prefix = DEFAULT_PREFIX } = options;
  if (typeof (client as { readonly lease?: unknown } | undefined)?.lease !== 'function')
    throw wrongOption('client', client, 'a client of etcd3', 'Pass `new Etcd3()`.');
  if (typeof prefix !== 'string' || prefix === '')
    throw wrongOption(
      'prefix',
      prefix,
      'what the keys of the locks begin with',
      `Leave it out for '${DEFAULT_PREFIX}'.`,
    );
  return new EtcdLocks(client, prefix);
}

/** A key in the queue for a lock. */
interface Place {
  readonly folder: string;
  readonly key: string;
  /** That created the key. */
  readonly revision: string;
}

class EtcdLocks implements LockService {
  constructor(
    private readonly client: EtcdClient,
    private readonly prefix: string,
  ) {}

  async start(warn: (warning: string) => void): Promise<void> {
    try {
      const answer = this.client.getAll().prefix(this.prefix).limit(1).exec();
      await within(systemClock, STARTS_WITHIN_MS, answer);
    } catch (error) {
      const { cause = error } = error as { readonly cause?: unknown };
      warn(`etcd, which keeps the locks, cannot be reached yet: ${String(cause)}`);
    }
  }

  async acquire(request: LockRequest): Promise<HeldLock | undefined> {
    const { id, leaseMs, waits, signal } = request;
    const folder = `${this.prefix}${id}/`;
    // What is refused at once writes nothing.
    if (!waits && (await this.client.getAll().prefix(folder).limit(1).exec()).kvs.length > 0)
      return undefined;
    const seconds = Math.ceil(leaseMs / 1_000);
    const askedAtMs = systemClock.now();
    const lease = this.client.lease(seconds, { autoKeepAlive: false });
    const key = `${folder}${await lease.grant()}`;
    const lock = this.lockOf(lease, key, seconds * 1_000, askedAtMs);
    try {
      const { header } = await lease.put(key).value('').exec();
      const place: Place = { folder, key, revision: header.revision };
      if (!(await this.isFirst(place, lock, request)) || signal.aborted) {
        await lock.release();
        return undefined;
      }
      lock.fencingToken = tokenOf(place.revision);
      return lock;
    } catch (error) {
      // If this fails too, the lease is not renewed any more.
      void lock.release().catch(() => undefined);
      throw error;
    }
  }

  private lockOf(lease: EtcdLease, key: string, leaseMs: number, askedAtMs: number): LeasedLock {
    let isOver = false;
    const extend = async (): Promise<boolean> => {
      if (isOver) return false;
      try {
        await lease.keepaliveOnce({ deadline: new Date(Date.now() + leaseMs) });
        return true;
      } catch (error) {
        if (lease.revoked()) return false;
        throw error;
      }
    };
    const release = async (): Promise<boolean> => {
      isOver = true;
      const { deleted } = await this.client.delete().key(key).exec();
      // The key is what others wait for. Without renewals, the lease ends in any case.
      void lease.revoke().catch(() => undefined);
      return Number(deleted) > 0;
    };
    return new LeasedLock(systemClock, leaseMs, askedAtMs, { extend, release });
  }

  /** Waits until nobody is before this key. `false`: somebody is, and it waits no longer. */
  private async isFirst(
    { folder, key, revision }: Place,
    lock: LeasedLock,
    { waits, signal, onWait }: LockRequest,
  ): Promise<boolean> {
    while (!signal.aborted) {
      const { header, kvs } = await this.client
        .getAll()
        .prefix(folder)
        .maxCreateRevision(revision)
        .sort('Create', 'Descend')
        .limit(2)
        .exec();
      const [own, before] = kvs;
      if (own?.create_revision !== revision || lock.hasRunOut)
        throw new LockServiceError(`The lease of ${key} ended before the lock was used.`);
      if (before === undefined) return true;
      if (!waits) return false;
      onWait();
      // Only the one before, so that a release wakes one of all that wait.
      await this.gone(before.key.toString(), header.revision, [signal, lock.signal]);
    }
    return false;
  }

  /** Waits until a key is gone, or may be, or until a signal is aborted. */
  private async gone(key: string, seenAt: string, signals: readonly AbortSignal[]): Promise<void> {
    const since = String(BigInt(seenAt) + 1n);
    let leave = (): void => undefined;
    const over = new Promise<void>((resolve) => {
      leave = resolve;
      for (const signal of signals) signal.addEventListener('abort', leave);
      if (signals.some(({ aborted }) => aborted)) leave();
    });
    const watching = this.client.watch().key(key).startRevision(since).create();
    const stop = (): void =>
      void watching.then((watcher) => watcher.cancel()).catch(() => undefined);
    try {
      const fired = watching.then(
        (watcher) =>
          new Promise<void>((resolve) => {
            watcher.on('delete', resolve);
            watcher.on('error', resolve);
          }),
      );
      await Promise.race([over, fired]);
    } finally {
      for (const signal of signals) signal.removeEventListener('abort', leave);
      stop();
    }
  }
}

function tokenOf(revision: string): number {
  const token = Number(revision);
  if (!Number.isSafeInteger(token))
    throw new LockServiceError(`The revision ${revision} is no safe integer.`);
  return token;
}
