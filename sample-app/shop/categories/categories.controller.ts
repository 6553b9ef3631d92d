import { Controller, HttpStatus, Param, Put } from '@nestjs/common';
import { ApiOkResponse } from '@nestjs/swagger';
import { insertOrGet } from 'nestjs-idempotency/typeorm';
import { DataSource } from 'typeorm';
import { ApiProblems } from '../common/problems/api-problems.decorator.js';
import { CategorizedDto, CategorizeDto } from './categories.dto.js';
import { GoodsCategory } from './goods-category.entity.js';

@Controller('goods/:id/categories')
export class CategoriesController {
  constructor(private readonly database: DataSource) {}

  /**
   * Goods and category identify the row, and a unique index allows it only once, so nothing about
   * the call has to be remembered. A repeat runs, changes nothing, and is told so.
   */
  @Put(':categoryId')
  @ApiOkResponse({ type: CategorizedDto })
  @ApiProblems(HttpStatus.BAD_REQUEST)
  async categorize(@Param() { id, categoryId }: CategorizeDto): Promise<CategorizedDto> {
    const row = { goodsId: id, categoryId };
    const { inserted } = await insertOrGet(this.database.manager, GoodsCategory, row);
    return { inserted };
  }
}
