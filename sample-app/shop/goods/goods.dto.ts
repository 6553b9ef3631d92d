import { IntersectionType, PickType } from '@nestjs/swagger';
import { IsPositiveInteger } from '../common/validation/positive-integer.js';
import { RowId } from '../common/validation/row-id.js';
import { IsText } from '../common/validation/text.js';
import { Goods } from './goods.entity.js';

export class DecrementDto {
  @IsPositiveInteger()
  by!: number;
}

export class RenameDto {
  @IsText(200)
  name!: string;
}

export class VersionedNameDto extends RenameDto {
  @IsPositiveInteger()
  version!: number;
}

export class StockDto extends PickType(Goods, ['id', 'stock']) {}
export class RenamedDto extends IntersectionType(RowId, RenameDto) {}
export class RenamedByVersionDto extends IntersectionType(RowId, VersionedNameDto) {}
