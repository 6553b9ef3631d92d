import { Type } from 'class-transformer';
import { IsInt, Max, Min } from 'class-validator';

/** The largest `integer` in SQL. */
const MAX_INTEGER = 2_147_483_647;

export class GoodsId {
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(MAX_INTEGER)
  id!: number;
}

export class DecrementDto {
  @IsInt()
  @Min(1)
  @Max(MAX_INTEGER)
  by!: number;
}
