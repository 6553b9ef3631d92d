/** What a call may be given. */
export interface EtcdCallOptions {
  readonly deadline?: Date;
}

/** A lease. Its keys are deleted with it. */
export interface EtcdLease {
  /** Resolves once there is a lease. */
  grant(): Promise<string>;
  put(key: string): EtcdPut;
  keepaliveOnce(options?: EtcdCallOptions): Promise<unknown>;
  /** True once etcd has said that there is no such lease. */
  revoked(): boolean;
  revoke(): Promise<void>;
}

/** Writes a key. */
export interface EtcdPut {
  value(value: string): EtcdPut;
  exec(): Promise<{ readonly header: { readonly revision: string } }>;
}

/** A key, and the revision that created it. */
export interface EtcdKey {
  readonly key: Buffer;
  readonly create_revision: string;
}

/** Reads the keys with a prefix. */
export interface EtcdRange {
  prefix(prefix: string): EtcdRange;
  maxCreateRevision(revision: string): EtcdRange;
  sort(target: 'Create', order: 'Descend'): EtcdRange;
  limit(count: number): EtcdRange;
  exec(): Promise<{
    readonly header: { readonly revision: string };
    readonly kvs: readonly EtcdKey[];
  }>;
}

/** Watches one key. */
export interface EtcdWatcher {
  on(event: 'delete' | 'error', listener: () => void): unknown;
  cancel(): Promise<void>;
}

/** Makes a watch. */
export interface EtcdWatchBuilder {
  key(key: string): EtcdWatchBuilder;
  startRevision(revision: string): EtcdWatchBuilder;
  create(): Promise<EtcdWatcher>;
}

/** What a client of etcd has to be: an `Etcd3`, or one of its namespaces, is. */
export interface EtcdClient {
  lease(ttlSeconds: number, options: { readonly autoKeepAlive: boolean }): EtcdLease;
  getAll(): EtcdRange;
  delete(): {
    key(key: string): { exec(): Promise<{ readonly deleted: string }> };
  };
  watch(): EtcdWatchBuilder;
}
