import type { DataSource } from 'typeorm';

/** The part of a pool of `pg`, and of its clients, that is needed here. */
interface Emitting {
  on(event: 'acquire' | 'error', listener: (client: Emitting) => void): unknown;
}

const heard = new WeakSet<Emitting>();

/**
 * A connection of `pg` that breaks in the moment in which its pool hands it to TypeORM has nobody
 * who listens, and Node would end the process. Whoever uses it next is told all the same.
 */
export function outliveConnections({ driver }: DataSource): void {
  const { master } = driver as { master?: Partial<Emitting> };
  if (typeof master?.on !== 'function' || heard.has(master as Emitting)) return;
  const pool = master as Emitting;
  heard.add(pool);
  pool.on('acquire', (client) => {
    if (heard.has(client)) return;
    heard.add(client);
    client.on('error', () => undefined);
  });
}
