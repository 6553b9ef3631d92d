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

  /** The `ETag` is what `PUT /goods/:id` wants as `If-Match`. */
  @Get(':id')
  @ApiOkResponse({ type: Goods, headers: { ETag: { schema: { type: 'string' } } } })
  @ApiProblems(HttpStatus.NOT_FOUND)
  async find(@Param() { id }: RowId, @Res({ passthrough: true }) response: ResponseWithHeaders) {
    const goods = await this.goods.find(id);
    response.header('ETag', `"${goods.version}"`);
    return goods;
  }

  /** `stock - 1` is another value every time it runs; the key makes a retry safe. */
  @Post(':id/decrement')
  @Idempotent()
  @ApiCreatedResponse({ type: StockDto })
  @ApiProblems(HttpStatus.BAD_REQUEST, HttpStatus.NOT_FOUND, HttpStatus.CONFLICT)
  decrement(@Param() { id }: RowId, @Body() { by }: DecrementDto) {
    return this.goods.decrement(id, by);
  }

  /** Only for who has seen the latest version: anybody else would undo a change without knowing it. */
  @Put(':id')
  @Idempotent({ strategy: 'version', entity: Goods, id: param('id'), version: ifMatch() })
  @ApiOkResponse({ type: RenamedDto })
  @ApiProblems(HttpStatus.BAD_REQUEST)
  async rename(@Param() { id }: RowId, @Body() { name }: RenameDto) {
    await this.goods.rename(id, name);
    return { id, name };
  }

  /** From a source that counts its versions: the newest one wins, in whatever order they come. */
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

/** What the replies of Express and Fastify have in common. */
interface ResponseWithHeaders {
  header(name: string, value: string): unknown;
}
