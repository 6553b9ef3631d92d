import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { CategoriesController } from './categories.controller.js';
import { GoodsCategory } from './goods-category.entity.js';

@Module({
  imports: [TypeOrmModule.forFeature([GoodsCategory])],
  controllers: [CategoriesController],
})
export class CategoriesModule {}
