/** A handler that ran, as the reply and the effect name it. */
export interface Run {
  readonly attempt: number;
  readonly fencingToken: number;
  /** Another one each time that the handler is entered. */
  readonly runId: string;
}

/** Who pays what, under which key. */
export interface Payment {
  readonly principal: string;
  readonly key: string;
  readonly amount: number;
}

/** What a client was told: the body of a 201. */
export interface Paid extends Payment, Run {}

export interface Call extends Payment {
  /** 0: no answer came. */
  readonly status: number;
  readonly isReplayed: boolean;
  readonly paid?: Paid;
  /** When it was sent the process that did so could not have it recorded, and still tried to. */
  readonly isUnrecorded?: boolean;
  /** When the answer was there, in microseconds; by the clock that fencing tokens are of. */
  readonly answeredAtUs: number;
}

/** What is there when everything is over: one for each run that did its work. */
export interface Effect extends Omit<Payment, 'amount'>, Run {}

/** Everything that clients and the database saw. */
export interface History {
  readonly calls: readonly Call[];
  readonly effects: readonly Effect[];
}
