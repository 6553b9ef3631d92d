import { Body, Controller, Param, Post } from '@nestjs/common';
import { Idempotent } from 'nestjs-idempotency';
import { EffectsService } from '../effects/effects.service.js';
import { RowId } from '../validation/row-id.js';
import { DecrementDto } from './goods.dto.js';
import { GoodsService } from './goods.service.js';

@Controller('goods')
export class GoodsController {
  constructor(
    private readonly goods: GoodsService,
    private readonly effects: EffectsService,
  ) {}

  /** `stock - 1` is another value every time it runs; the key makes a retry safe. */
  @Post(':id/decrement')
  @Idempotent()
  decrement(@Param() { id }: RowId, @Body() { by }: DecrementDto) {
    this.effects.ran('POST /goods/:id/decrement');
    return this.goods.decrement(id, by);
  }
}
