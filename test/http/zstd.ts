/** What the program replies, before it is packed. */
export const TEXT = 'Ünïcödé, packed by one version of Node. '.repeat(50);

/** The first message of the program. */
export interface PackedReady {
  readonly port: number;
  readonly node: string;
}
