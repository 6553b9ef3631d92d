import { IsInt, Max, Min } from 'class-validator';
import { MAX_INTEGER } from '../validation/row-id.js';

export class DecrementDto {
  @IsInt()
  @Min(1)
  @Max(MAX_INTEGER)
  by!: number;
}
