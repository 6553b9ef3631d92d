/** What a process of the race is told: its callers all begin at once. */
export interface Race {
  readonly id: string;
  readonly callers: number;
  /** The verb itself with an owner per caller, or what an application goes through. */
  readonly through: 'store' | 'engine';
  /** Every caller asks for a key that nobody else does. */
  readonly hasOwnKeys?: boolean;
}

/** What its callers were told. */
export type Result = string[];
