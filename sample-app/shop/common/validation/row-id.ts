import { Type } from 'class-transformer';
import { IsPositiveInteger } from './positive-integer.js';

/** The `:id` of a route, as a number. */
export class RowId {
  @Type(() => Number)
  @IsPositiveInteger()
  id!: number;
}
