import { Body, Controller, Get, HttpStatus, Param, Post, Put, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse } from '@nestjs/swagger';
import { body, Idempotent, ifMatch, param } from 'nestjs-idempotency';
import { ApiProblems } from '../common/problems/api-problems.decorator.js';
import { RowId } from '../common/validation/row-id.js';
import {
  DecrementDto,
  RenamedByVersionDto,
  RenamedDto,
  RenameDto,
  StockDto,
  VersionedNameDto,
} from './goods.dto.js';
import { Goods } from './goods.entity.js';
import { GoodsService } from './goods.service.js';

@Controller('goods')
export class GoodsController {
  constructor(private readonly goods: GoodsService) {}

  /** Send the `ETag` to `PUT /goods/:id` as `If-Match`. */
  @Get(':id')
  @ApiOkResponse({ type: Goods, headers: { ETag: { schema: { type: 'string' } } } })
  @ApiProblems(HttpStatus.NOT_FOUND)
  async find(@Param() { id }: RowId, @Res({ passthrough: true }) response: ResponseWithHeaders) {
    const goods = await this.goods.find(id);
    response.header('ETag', `"${goods.version}"`);
    return goods;
  }

  /** `stock - 1` is another value each time it runs. The key makes a retry safe. */
  @Post(':id/decrement')
  @Idempotent()
  @ApiCreatedResponse({ type: StockDto })
  @ApiProblems(HttpStatus.BAD_REQUEST, HttpStatus.NOT_FOUND, HttpStatus.CONFLICT)
  decrement(@Param() { id }: RowId, @Body() { by }: DecrementDto) {
    return this.goods.decrement(id, by);
  }

  /**
   * Only for callers who have seen the latest version. Anybody else would overwrite a change
   * without knowing.
   */
  @Put(':id')
  @Idempotent({ strategy: 'version', entity: Goods, id: param('id'), version: ifMatch() })
  @ApiOkResponse({ type: RenamedDto })
  @ApiProblems(HttpStatus.BAD_REQUEST)
  async rename(@Param() { id }: RowId, @Body() { name }: RenameDto) {
    await this.goods.rename(id, name);
    return { id, name };
  }

  /** For a source that numbers its versions: the newest one wins, in whatever order they arrive. */
  @Put(':id/name')
  @Idempotent({
    strategy: 'version',
    entity: Goods,
    id: param('id'),
    version: body<VersionedNameDto>('version'),
    mode: 'newer',
  })
  @ApiOkResponse({ type: RenamedByVersionDto })
  @ApiProblems(HttpStatus.BAD_REQUEST)
  async renameByVersion(@Param() { id }: RowId, @Body() { name, version }: VersionedNameDto) {
    await this.goods.rename(id, name);
    return { id, name, version };
  }
}

/** The common part of Express's response and Fastify's reply. */
interface ResponseWithHeaders {
  header(name: string, value: string): unknown;
}
