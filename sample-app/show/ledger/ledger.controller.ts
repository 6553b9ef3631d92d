import { Controller, Get } from '@nestjs/common';
import { ApiOkResponse } from '@nestjs/swagger';
import { DataSource } from 'typeorm';

/** A number for each name. */
const COUNTS = { type: 'object', additionalProperties: { type: 'integer' } };

@Controller('ledger')
export class LedgerController {
  constructor(private readonly database: DataSource) {}

  /** How many rows each table has, counted by the database in one statement. */
  @Get()
  @ApiOkResponse({ schema: COUNTS })
  async count(): Promise<Record<string, number>> {
    const tables = this.database.entityMetadatas.map(({ tableName }) => tableName).sort();
    const counts = tables.map((table) => `(SELECT COUNT(*) FROM ${table}) AS ${table}`);
    const [row = {}] = await this.database.query<Record<string, string>[]>(
      `SELECT ${counts.join(', ')}`,
    );
    return Object.fromEntries(Object.entries(row).map(([table, rows]) => [table, Number(rows)]));
  }
}
