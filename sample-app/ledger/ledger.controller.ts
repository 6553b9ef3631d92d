import { Controller, Get } from '@nestjs/common';
import { DataSource } from 'typeorm';

@Controller('ledger')
export class LedgerController {
  constructor(private readonly database: DataSource) {}

  /** How many rows each table has, counted by the database in one statement. */
  @Get()
  async count(): Promise<Record<string, number>> {
    const tables = this.database.entityMetadatas.map(({ tableName }) => tableName).sort();
    const counts = tables.map((table) => `(SELECT COUNT(*) FROM ${table}) AS ${table}`);
    const [row = {}] = await this.database.query<Record<string, string>[]>(
      `SELECT ${counts.join(', ')}`,
    );
    return Object.fromEntries(Object.entries(row).map(([table, rows]) => [table, Number(rows)]));
  }
}
