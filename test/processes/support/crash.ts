/** Where a call can be made to stand still, in the order in which it comes there. */
export type Point =
  | 'before the claim'
  | 'after the claim'
  | 'in the middle of the handler'
  | 'after the effect'
  /** The reply is in the transaction, which is not committed yet. */
  | 'before the commit'
  | 'after complete';

/**
 * How its handler is protected: what an abandoned call means, or that there can be none; `recorded`: no
 * reply leaves before it is on record.
 */
export type Protection = 'rerun' | 'hold' | 'transaction' | 'recorded';

/** What its keys are. */
export type Strategy = 'unique-key' | 'token';

/** Of a request: the point at which the call stands still. */
export const STOP_HEADER = 'x-stops-at';

/** The first message of the process. */
export interface Ready {
  readonly port: number;
}

/** Sent when a call has come to its point; any message to the process lets all of them go on. */
export interface Arrived {
  readonly at: Point;
  /** Of its record. */
  readonly id: string;
}

/** What its handler answers. */
export interface Paid {
  readonly attempt: number;
  readonly fencingToken: number;
  readonly pid: number;
}
