/** What a node's `exists` tells. Of a node that does not exist, nothing. */
export interface ZooKeeperStat {
  /** The transaction that created the node: 8 bytes, which the whole ensemble counts up. */
  readonly czxid: Buffer;
}

/** What a client of ZooKeeper has to be: one of `node-zookeeper-client` is. */
export interface ZooKeeperClient {
  create(
    path: string,
    data: Buffer,
    mode: number,
    callback: (error: unknown, path: string) => void,
  ): void;
  mkdirp(path: string, callback: (error: unknown, path: string) => void): void;
  remove(path: string, callback: (error: unknown) => void): void;
  exists(path: string, callback: (error: unknown, stat: ZooKeeperStat) => void): void;
  getData(
    path: string,
    watcher: (event: object) => void,
    callback: (error: unknown, data: Buffer) => void,
  ): void;
  getChildren(path: string, callback: (error: unknown, children: string[]) => void): void;
  /** As agreed with the server, in milliseconds. */
  getSessionTimeout(): number;
  on(event: string, listener: () => void): unknown;
}

const EPHEMERAL_SEQUENTIAL = 3;
const NO_NODE = -101;
const NO_DATA = Buffer.alloc(0);

/** One session of a client: requests as promises, and whether the server has ended it. */
export class ZooKeeperSession {
  isExpired = false;
  private readonly endings = new Set<() => void>();
  private readonly changes = new Set<() => void>();
  private readonly watched = new Map<string, Set<() => void>>();

  constructor(private readonly client: ZooKeeperClient) {
    client.on('expired', () => {
      this.isExpired = true;
      for (const end of this.endings) end();
    });
    // A watch may have fired while nobody was connected.
    client.on('connected', () => {
      for (const change of this.changes) change();
    });
  }

  isOf(client: ZooKeeperClient): boolean {
    return client === this.client;
  }

  get timeoutMs(): number {
    return this.client.getSessionTimeout();
  }

  /** Calls back when the server has ended the session. Returns what stops that. */
  onExpired(end: () => void): () => void {
    this.endings.add(end);
    return () => void this.endings.delete(end);
  }

  /** Makes a folder, and those above it. */
  makeFolder(path: string): Promise<void> {
    return this.asked((done) => this.client.mkdirp(path, (error) => done(error)));
  }

  /**
   * Makes a node that lives as long as the session, and returns its path: the given one with a number.
   * `undefined`: there is no such folder.
   */
  async enter(path: string): Promise<string | undefined> {
    return this.unlessMissing<string>((done) =>
      this.client.create(path, NO_DATA, EPHEMERAL_SEQUENTIAL, done),
    );
  }

  /** The names in a folder, if there is one. */
  async names(folder: string): Promise<readonly string[]> {
    const names = await this.unlessMissing<string[]>((done) =>
      this.client.getChildren(folder, done),
    );
    return names ?? [];
  }

  /** What is known of a node; `undefined` if there is none. */
  async stat(path: string): Promise<ZooKeeperStat | undefined> {
    const stat = await this.asked<ZooKeeperStat | undefined>((done) =>
      this.client.exists(path, done),
    );
    return stat ?? undefined;
  }

  /** `false`: there was no such node. */
  async remove(path: string): Promise<boolean> {
    const removed = await this.unlessMissing<boolean>((done) =>
      this.client.remove(path, (error) => done(error, true)),
    );
    return removed === true;
  }

  /** Waits until a node is gone, or may be, or until a signal is aborted. */
  gone(path: string, signals: readonly AbortSignal[]): Promise<void> {
    return new Promise<void>((resolve) => {
      const wake = (): void => {
        this.changes.delete(wake);
        watched.delete(wake);
        for (const signal of signals) signal.removeEventListener('abort', wake);
        resolve();
      };
      const watched = this.watched.get(path) ?? this.watch(path);
      watched.add(wake);
      this.changes.add(wake);
      for (const signal of signals) signal.addEventListener('abort', wake);
      if (signals.some(({ aborted }) => aborted)) wake();
    });
  }

  /**
   * One watch for all that wait for one node. It stays until the node is gone. A watch on its data, which
   * the server does not keep if there is no such node.
   */
  private watch(path: string): Set<() => void> {
    const watched = new Set<() => void>();
    const fired = (): void => {
      if (this.watched.get(path) === watched) this.watched.delete(path);
      for (const wake of watched) wake();
    };
    this.watched.set(path, watched);
    this.client.getData(path, fired, (error) => {
      if (error) fired();
    });
    return watched;
  }

  /** Like {@link asked}, and `undefined` where a node is missing. */
  private async unlessMissing<T>(
    ask: (done: (error: unknown, answer: T) => void) => void,
  ): Promise<T | undefined> {
    try {
      return await this.asked(ask);
    } catch (error) {
      if (codeOf(error) === NO_NODE) return undefined;
      throw error;
    }
  }

  private asked<T>(ask: (done: (error: unknown, answer: T) => void) => void): Promise<T> {
    if (this.isExpired) return Promise.reject(new Error(EXPIRED));
    return new Promise<T>((resolve, reject) => {
      // A request that waits for a connection is forgotten by the client once its session has ended.
      const stop = this.onExpired(() => reject(new Error(EXPIRED)));
      ask((error, answer) => {
        stop();
        if (!error) resolve(answer);
        else
          reject(error instanceof Error ? error : new Error('ZooKeeper failed.', { cause: error }));
      });
    });
  }
}

const EXPIRED =
  'The session of the ZooKeeper client has expired, and the client makes no other. Give zookeeperLocks() a function that returns a new client: { client: () => connect() }.';

function codeOf(error: unknown): unknown {
  const { cause = error } = error as { readonly cause?: unknown };
  return (cause as { readonly code?: unknown }).code;
}
