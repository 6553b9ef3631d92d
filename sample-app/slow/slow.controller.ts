import { setTimeout as work } from 'node:timers/promises';
import { Body, Controller, Post } from '@nestjs/common';
import { Idempotent, Operation, type IdempotentOperation } from 'nestjs-idempotency';
import { EffectsService } from '../effects/effects.service.js';
import { SlowDto } from './slow.dto.js';

@Controller('slow')
export class SlowController {
  constructor(private readonly effects: EffectsService) {}

  /** Takes its time. A duplicate meanwhile is told to come back; one afterwards gets the reply. */
  @Post()
  @Idempotent()
  async slow(@Body() { ms }: SlowDto, @Operation() op: IdempotentOperation) {
    this.effects.ran('POST /slow');
    // The signal stops the work when the claim is lost, because somebody else does it then.
    await work(ms, undefined, { signal: op.signal });
    return { ms, attempt: op.attempt };
  }
}
