/** Where a process of the shop can be made to stand still, in the order of a call. */
export type Point =
  | 'before the claim'
  | 'after the claim'
  | 'in the middle of the handler'
  | 'after the effect'
  /** The reply is in the transaction, which is not committed yet. */
  | 'before the commit'
  | 'after complete';

/** How its handler is protected: what an abandoned call means, or that there can be none. */
export type Protection = 'rerun' | 'hold' | 'transaction';

/** What its keys are. */
export type Strategy = 'unique-key' | 'token';

/** The first message of the process. */
export interface Ready {
  readonly port: number;
}

/** Sent when it has come to the point at which it waits; any message to it lets it go on. */
export interface Arrived {
  readonly at: Point;
}

/** What its handler answers. */
export interface Paid {
  readonly attempt: number;
  readonly pid: number;
}
