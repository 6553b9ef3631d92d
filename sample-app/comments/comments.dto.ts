import { IsOptional, IsString, Length } from 'class-validator';

export class CommentDto {
  @IsString()
  @Length(1, 2000)
  text!: string;

  @IsOptional()
  @IsString()
  @Length(1, 100)
  topic?: string;
}
