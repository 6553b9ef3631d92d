/** A value for a parameter; lists only where a statement says so. */
export type Value = string | number | Uint8Array | null | readonly Uint8Array[];

export type Values = Readonly<Record<string, Value>>;

/** One SQL statement of one dialect. */
export interface Statement {
  readonly name: string;
  readonly text: string;
  /** What the placeholders stand for, in their order. */
  readonly parameters: readonly string[];
}

export type Row = Readonly<Record<string, unknown>>;

export interface Answer {
  readonly rows: readonly Row[];
  /** How many rows were changed; on MySQL only those that are different now. */
  readonly changed: number;
  /** MySQL's `LAST_INSERT_ID(…)` of this statement; 0 elsewhere. */
  readonly insertId: number;
}

/** Where statements run: on any connection of a pool, or on the one of a transaction. */
export interface Session {
  query(statement: Statement, values: Values): Promise<Answer>;
  /** Several statements on one connection, for what the server ties to it. */
  onOneConnection<T>(work: (session: Session) => Promise<T>): Promise<T>;
}

/** The values in the order of the placeholders. */
export function bound({ name, parameters }: Statement, values: Values): unknown[] {
  return parameters.map((parameter) => {
    const value = values[parameter];
    if (value === undefined) throw new Error(`${name}: no value for ${parameter}`);
    // Drivers know Buffers; Uint8Arrays only some of them.
    return value instanceof Uint8Array ? asBuffer(value) : value;
  });
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
