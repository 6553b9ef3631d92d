import { Type } from 'class-transformer';
import { IsInt, Max, Min } from 'class-validator';

/** The largest `integer` in SQL. */
export const MAX_INTEGER = 2_147_483_647;

/** The `:id` of a route, as a number. */
export class RowId {
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(MAX_INTEGER)
  id!: number;
}
