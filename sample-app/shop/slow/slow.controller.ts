import { setTimeout as work } from 'node:timers/promises';
import { Body, Controller, HttpStatus, Post } from '@nestjs/common';
import { ApiCreatedResponse } from '@nestjs/swagger';
import { Idempotent, Operation, type IdempotentOperation } from 'nestjs-idempotency';
import { ApiProblems } from '../common/problems/api-problems.decorator.js';
import { SlowDto, SlowReplyDto } from './slow.dto.js';

@Controller('slow')
export class SlowController {
  /** Takes its time. A duplicate meanwhile is told to come back; one afterwards gets the reply. */
  @Post()
  @Idempotent()
  @ApiCreatedResponse({ type: SlowReplyDto })
  @ApiProblems(HttpStatus.BAD_REQUEST)
  async slow(@Body() { ms }: SlowDto, @Operation() op: IdempotentOperation) {
    // The signal stops the work when the claim is lost, because somebody else does it then.
    await work(ms, undefined, { signal: op.signal });
    return { ms, attempt: op.attempt };
  }
}
