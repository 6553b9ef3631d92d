import type { DataSource, EntityManager } from 'typeorm';

/** Tables with a constraint that is checked at the commit, where the database has such. */
export async function prepareToBreakCommits({ options, manager }: DataSource): Promise<void> {
  if (options.type === 'mariadb') return;
  await manager.query('CREATE TABLE parents (id integer PRIMARY KEY)');
  await manager.query(
    'CREATE TABLE children (parent integer REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)',
  );
}

/** Has the commit of this transaction fail, for real. */
export async function breakCommit(dataSource: DataSource, manager: EntityManager): Promise<void> {
  if (dataSource.options.type !== 'mariadb') {
    await manager.query('INSERT INTO children (parent) VALUES (1)');
    return;
  }
  const [row] = (await manager.query('SELECT CONNECTION_ID() AS id')) as { id: unknown }[];
  await dataSource.query(`KILL ${Number(row!.id)}`);
}
