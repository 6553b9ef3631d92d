import { IsUUID } from 'class-validator';
import { type ImportRows, IsImportRows } from './import-rows.js';

export class ImportDto {
  @IsImportRows()
  rows!: ImportRows;
}

export class ImportId {
  @IsUUID()
  id!: string;
}
