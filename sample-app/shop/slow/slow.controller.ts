import { setTimeout as work } from 'node:timers/promises';
import { Body, Controller, HttpStatus, Post } from '@nestjs/common';
import { ApiCreatedResponse } from '@nestjs/swagger';
import { Idempotent, Operation, type IdempotentOperation } from 'nestjs-idempotency';
import { ApiProblems } from '../common/problems/api-problems.decorator.js';
import { SlowDto, SlowReplyDto } from './slow.dto.js';

@Controller('slow')
export class SlowController {
  /**
   * Takes its time. A duplicate that arrives meanwhile is told to come back. A later one gets the
   * reply.
   */
  @Post()
  @Idempotent()
  @ApiCreatedResponse({ type: SlowReplyDto })
  @ApiProblems(HttpStatus.BAD_REQUEST)
  async slow(@Body() { ms }: SlowDto, @Operation() op: IdempotentOperation) {
    // The signal stops the work if the claim is lost, because another process may then do it.
    await work(ms, undefined, { signal: op.signal });
    return { ms, attempt: op.attempt };
  }
}
