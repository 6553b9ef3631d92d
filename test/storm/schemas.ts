import { CreateIdempotencyRecords1763700000000 } from 'nestjs-idempotency/typeorm';
import { DataSource } from 'typeorm';
import { sharedPostgres, type SharedServer } from '../support/servers/shared.js';
import { LANES } from './storms.js';

/** A database with a schema for each lane: records, and what handlers in transactions write. */
export async function startSchemas(): Promise<SharedServer> {
  const server = await sharedPostgres();
  for (let lane = 0; lane < LANES; lane += 1) {
    const admin = await new DataSource({ type: 'postgres', url: server.url }).initialize();
    await admin.query(`CREATE SCHEMA lane${lane}`);
    await admin.destroy();
    const dataSource = await new DataSource({
      type: 'postgres',
      url: server.url,
      schema: `lane${lane}`,
      extra: { options: `-c search_path=lane${lane}` },
      migrations: [CreateIdempotencyRecords1763700000000],
      migrationsRun: true,
    }).initialize();
    await dataSource.query(
      'CREATE TABLE storm_effects (place text, caller text, key text, amount integer, run text)',
    );
    await dataSource.destroy();
  }
  return server;
}
