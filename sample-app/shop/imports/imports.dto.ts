import { ApiProperty } from '@nestjs/swagger';
import { IsUUID } from 'class-validator';
import { type ImportRows, IsImportRows, MOST_ROWS } from './import-rows.js';

export class ImportDto {
  @ApiProperty({
    description: 'The rows, or their number.',
    oneOf: [
      { type: 'array', items: {}, minItems: 1, maxItems: MOST_ROWS },
      { type: 'integer', minimum: 1, maximum: MOST_ROWS },
    ],
  })
  @IsImportRows()
  rows!: ImportRows;
}

export class ImportId {
  @ApiProperty({ format: 'uuid' })
  @IsUUID()
  id!: string;
}

/** The status of an import. */
export class ImportStateDto extends ImportId {
  @ApiProperty({ enum: ['queued', 'running', 'done', 'failed'] })
  status!: string;

  @ApiProperty({
    selfRequired: false,
    description: 'Present when it is done.',
    type: 'object',
    additionalProperties: true,
  })
  result?: unknown;

  @ApiProperty({ required: false, description: 'Present when it has failed.' })
  error?: string;
}
