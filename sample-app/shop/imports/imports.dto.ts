import { ApiProperty } from '@nestjs/swagger';
import { IsUUID } from 'class-validator';
import { type ImportRows, IsImportRows, MOST_ROWS } from './import-rows.js';

export class ImportDto {
  @ApiProperty({
    description: 'The rows, or how many there are to be.',
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

/** What has become of an import. */
export class ImportStateDto extends ImportId {
  @ApiProperty({ enum: ['queued', 'running', 'done', 'failed'] })
  status!: string;

  @ApiProperty({
    selfRequired: false,
    description: 'When it is done.',
    type: 'object',
    additionalProperties: true,
  })
  result?: unknown;

  @ApiProperty({ required: false, description: 'When it has failed.' })
  error?: string;
}
