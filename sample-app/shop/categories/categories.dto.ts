import { ApiProperty } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsPositiveInteger } from '../common/validation/positive-integer.js';
import { RowId } from '../common/validation/row-id.js';

export class CategorizeDto extends RowId {
  @Type(() => Number)
  @IsPositiveInteger()
  categoryId!: number;
}

export class CategorizedDto {
  @ApiProperty({ description: 'False if it already existed.' })
  inserted!: boolean;
}
