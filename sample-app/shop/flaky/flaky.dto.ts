import { ApiProperty } from '@nestjs/swagger';
import { IsInt, Max, Min } from 'class-validator';

export class FlakyDto {
  @ApiProperty({ description: 'How many times to fail before it works.', minimum: 0, maximum: 100 })
  @IsInt()
  @Min(0)
  @Max(100)
  fail!: number;
}

export class FlakyReplyDto extends FlakyDto {
  @ApiProperty()
  attempt!: number;
}
