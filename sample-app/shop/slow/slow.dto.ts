import { ApiProperty } from '@nestjs/swagger';
import { IsInt, Max, Min } from 'class-validator';

export class SlowDto {
  @ApiProperty({ description: 'How long to work, in milliseconds.', minimum: 0, maximum: 300_000 })
  @IsInt()
  @Min(0)
  @Max(300_000)
  ms!: number;
}

export class SlowReplyDto extends SlowDto {
  @ApiProperty()
  attempt!: number;
}
