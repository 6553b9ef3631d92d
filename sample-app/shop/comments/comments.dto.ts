import { ApiProperty } from '@nestjs/swagger';
import { IsOptional } from 'class-validator';
import { IsText } from '../common/validation/text.js';

export class CommentDto {
  @IsText(2000)
  text!: string;

  @ApiProperty({ required: false })
  @IsOptional()
  @IsText(100)
  topic?: string;
}
