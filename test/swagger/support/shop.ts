import { Body, Controller, Get, Param, Post, Put } from '@nestjs/common';
import { ApiConsumes, ApiProperty } from '@nestjs/swagger';
import {
  body,
  header,
  Idempotent,
  type IdempotencyModuleOptions,
  type IdempotentOperation,
  ifMatch,
  Operation,
  param,
  principal,
  query,
  signature,
} from 'nestjs-idempotency';
import { Gate } from 'nestjs-idempotency/testing';
import type { AppOptions } from '../../support/http.js';
import { Column } from './column.js';

/** What a call of the shop is about. */
export class Content {
  @ApiProperty({ required: false }) serialNo?: string;
  @ApiProperty({ required: false }) version?: number;
  @ApiProperty({ required: false, enum: ['hold', 'wait', 'grow'] }) work?: string;
}

/** Where calls that ask for it stop. */
export const work = { gate: new Gate() };

@Controller()
export class Shop {
  @Post('payments')
  @Idempotent()
  async pay(@Body() content: Content, @Operation() operation: IdempotentOperation) {
    if (content.work === 'hold') await operation.hold('nobody knows');
    if (content.work === 'wait') await work.gate.pass();
    return { paid: true, receipt: 'x'.repeat(content.work === 'grow' ? MAX_BYTES : 0) };
  }

  @Get('payments')
  list() {
    return [];
  }

  @Post('plain')
  plain() {
    return {};
  }

  @Post('orders')
  @Idempotent({ strategy: 'token', purpose: 'order' })
  order(@Body() _content: Content) {
    return {};
  }

  @Post('forms')
  @ApiConsumes('application/x-www-form-urlencoded')
  @Idempotent({ strategy: 'token' })
  form(@Body() _content: Content) {
    return {};
  }

  @Put('goods/:id')
  @Idempotent({
    strategy: 'version',
    entity: new Column(1),
    id: param('id'),
    version: ifMatch(),
  })
  change(@Param('id') id: string) {
    return { id };
  }

  @Put('goods/:id/name')
  @Idempotent({
    strategy: 'version',
    entity: new Column(1),
    id: param('id'),
    version: body<Content>('version'),
    mode: 'newer',
  })
  rename(@Param('id') id: string, @Body() _content: Content) {
    return { id };
  }

  @Post('goods/:id/sell')
  @Idempotent({
    strategy: 'state',
    entity: new Column('new'),
    id: param('id'),
    column: 'state',
    to: 'sold',
    from: ['offered'],
  })
  sell(@Param('id') id: string) {
    return { id };
  }

  @Post('coupons/:id/claim')
  @Idempotent({ strategy: 'lock', key: param('id'), wait: '5s' })
  claim(@Param('id') id: string) {
    return { id };
  }

  @Post('transfers')
  @Idempotent({ key: [header('X-Client-Id'), body<Content>('serialNo')], wait: '1m' })
  transfer(@Body() { serialNo }: Content) {
    return { serialNo };
  }

  @Post('comments')
  @Idempotent({ key: signature(), ttl: '10s' })
  comment(@Body() _content: Content) {
    return {};
  }

  @Post('votes/:target')
  @Idempotent({ key: [principal(), param('target')], onDuplicate: 'reject', ttl: '365d' })
  vote(@Param('target') target: string) {
    return { target };
  }

  @Post('optional')
  @Idempotent({ required: false, scope: 'optional', retryAfter: '90s' })
  optional() {
    return {};
  }

  @Post('careless')
  @Idempotent({ key: query('no'), fingerprint: false, onStoreFailure: 'proceed' })
  careless() {
    return {};
  }

  @Post('rooms/:id/book')
  @Idempotent({ strategy: 'lock', key: param('id') })
  @Idempotent({ ttl: '2d', lease: '5m' })
  book(@Param('id') id: string) {
    return { id };
  }
}

const MAX_BYTES = 1_000;

/** The shop, with whatever the test adds. */
export function shop(idempotency: IdempotencyModuleOptions = {}): AppOptions {
  return {
    controllers: [Shop],
    idempotency: {
      maxResponseBytes: MAX_BYTES,
      principal: ({ request }) => request.headers['x-user'] as string | undefined,
      tokens: { purposes: ['order'] },
      tokenController: true,
      ...idempotency,
    } as IdempotencyModuleOptions,
  };
}
