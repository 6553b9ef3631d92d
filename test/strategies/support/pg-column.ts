import type { Expectation, Resource, ResourceValue } from 'nestjs-idempotency/contracts';
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Pool, PoolClient } from 'pg';

const clients = new AsyncLocalStorage<PoolClient>();

/** The client of the transaction that the present code runs in. */
export function currentClient(): PoolClient {
  const client = clients.getStore();
  if (client === undefined) throw new Error('There is no transaction.');
  return client;
}

/** A column of a table, by `pg` alone. */
export class PgColumn implements Resource {
  readonly name: string;

  constructor(
    private readonly pool: Pool,
    private readonly table: string,
    private readonly column: string,
  ) {
    this.name = `${table}.${column}`;
  }

  async readForUpdate([id]: readonly string[]): Promise<ResourceValue | undefined> {
    const { rows } = await currentClient().query<{ value: ResourceValue }>(
      `SELECT ${this.column} AS value FROM ${this.table} WHERE id = $1 FOR UPDATE`,
      [id],
    );
    return rows[0]?.value;
  }

  async compareAndSet(
    [id]: readonly string[],
    expected: Expectation | undefined,
    value: ResourceValue,
  ): Promise<boolean> {
    const [condition, parameter] =
      expected === undefined
        ? [`${this.column} <> $3`, value]
        : 'oneOf' in expected
          ? [`${this.column} = ANY ($3)`, expected.oneOf]
          : [`${this.column} < $3`, expected.below];
    const { rowCount } = await currentClient().query(
      `UPDATE ${this.table} SET ${this.column} = $2 WHERE id = $1 AND ${condition}`,
      [id, value, parameter],
    );
    return rowCount === 1;
  }

  async transaction<T>(work: () => Promise<T>): Promise<T> {
    const client = await this.pool.connect();
    try {
      await client.query('BEGIN');
      const result = await clients.run(client, work);
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    } finally {
      client.release();
    }
  }
}
