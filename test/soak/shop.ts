/** What a process of the soak is told. */
export interface Settings {
  readonly server: string;
  readonly port: number;
  readonly leaseMs: number;
  readonly storeTimeoutMs: number;
  readonly isTransaction: boolean;
}

/** Its only message. */
export interface Ready {
  readonly port: number;
}

export const SCOPE = 'payments';
/** The attempts at the operation that the answering process has finished and could not record yet. */
export const UNRECORDED_HEADER = 'x-unrecorded-attempts';
export const PAUSE_BEFORE_RETRY_MS = 50;
