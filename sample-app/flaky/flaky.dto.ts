import { IsInt, Max, Min } from 'class-validator';

export class FlakyDto {
  /** How many times to fail before it works. */
  @IsInt()
  @Min(0)
  @Max(100)
  fail!: number;
}
