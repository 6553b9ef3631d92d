import { Type } from 'class-transformer';
import { IsInt, Max, Min } from 'class-validator';
import { MAX_INTEGER, RowId } from '../validation/row-id.js';

export class CategorizeDto extends RowId {
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(MAX_INTEGER)
  categoryId!: number;
}
