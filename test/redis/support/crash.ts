/** Where a process of the shop can be made to stand still, in the order of a call. */
export const POINTS = [
  'before the claim',
  'after the claim',
  'in the middle of the handler',
  'after the effect',
  'after complete',
] as const;
export type Point = (typeof POINTS)[number];

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
