export const STEPS = ['reserve', 'charge', 'ship', 'notify'] as const;

/** The first message of the program. */
export interface Ready {
  readonly port: number;
}

/** Sent when the step at which the process stands still is over, to be killed there. */
export interface Stopped {
  readonly derived: string;
}

/** What came of an order. */
export interface Placed {
  readonly attempt: number;
  /** The process that ran each step. */
  readonly ranIn: readonly number[];
  /** Whether each step gave what it had returned, with its types. */
  readonly areTyped: boolean;
  readonly derived: string;
}

/** What the caller gets: an order, or the code of a refusal. */
export type Answer = Partial<Placed> & { readonly code?: string };
