import { Body, Controller, HttpCode, HttpStatus, Inject, Post } from '@nestjs/common';
import { ApiAcceptedResponse } from '@nestjs/swagger';
import type { ClientProxy } from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';
import { OrdersService } from '../orders/orders.service.js';
import { ApiProblems } from '../common/problems/api-problems.decorator.js';
import { OrderEventDto, SentEventDto } from './order-event.dto.js';

/** Injection token of the producer of messages. */
export const ORDER_PRODUCER = Symbol('order producer');

const DELIVERIES = 2;

@Controller('messages')
export class MessagesController {
  constructor(
    private readonly orders: OrdersService,
    @Inject(ORDER_PRODUCER) private readonly producer: ClientProxy,
  ) {}

  /** Puts the message on the bus twice, like a redelivery. */
  @Post('order-events')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiAcceptedResponse({ type: SentEventDto })
  @ApiProblems(HttpStatus.BAD_REQUEST, HttpStatus.NOT_FOUND)
  async send(@Body() event: OrderEventDto) {
    await this.orders.find(event.orderId);
    for (let delivery = 1; delivery <= DELIVERIES; delivery += 1) {
      const sent = this.producer.emit<unknown>(`order-events.${event.status}`, event);
      await lastValueFrom(sent, { defaultValue: undefined });
    }
    return { messageId: event.messageId, deliveries: DELIVERIES };
  }
}
