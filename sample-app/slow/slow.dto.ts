import { IsInt, Max, Min } from 'class-validator';

export class SlowDto {
  /** How long to work, in milliseconds. */
  @IsInt()
  @Min(0)
  @Max(300_000)
  ms!: number;
}
