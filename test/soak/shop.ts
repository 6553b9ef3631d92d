/** What a process of the soak is told. */
export interface Settings {
  readonly server: string;
  readonly port: number;
  readonly leaseMs: number;
  readonly storeTimeoutMs: number;
  readonly isTransaction: boolean;
}

/** Its first message. */
export interface Ready {
  readonly port: number;
}

/** Each further one: a reply that is sent though it could not be recorded. */
export interface Failed {
  readonly id: string;
  readonly attempt: number;
}

export const SCOPE = 'payments';
export const PAUSE_BEFORE_RETRY_MS = 50;
