import { IsInt, IsString, Length, Max, Min } from 'class-validator';
import { MAX_INTEGER } from '../validation/row-id.js';

export class DecrementDto {
  @IsInt()
  @Min(1)
  @Max(MAX_INTEGER)
  by!: number;
}

export class RenameDto {
  @IsString()
  @Length(1, 200)
  name!: string;
}

export class VersionedNameDto extends RenameDto {
  @IsInt()
  @Min(1)
  @Max(MAX_INTEGER)
  version!: number;
}
