import { Body, Controller, HttpStatus, Post } from '@nestjs/common';
import { ApiCreatedResponse } from '@nestjs/swagger';
import { Idempotent, Operation, type IdempotentOperation } from 'nestjs-idempotency';
import { EffectsService } from '../effects/effects.service.js';
import { ApiProblems } from '../problems/api-problems.decorator.js';
import { ProblemException } from '../problems/problems.js';
import { FlakyDto, FlakyReplyDto } from './flaky.dto.js';

@Controller('flaky')
export class FlakyController {
  constructor(private readonly effects: EffectsService) {}

  /** Fails at first. A failure does not use up the key: the retry runs as the next attempt. */
  @Post()
  @Idempotent()
  @ApiCreatedResponse({ type: FlakyReplyDto })
  @ApiProblems(HttpStatus.BAD_REQUEST, HttpStatus.INTERNAL_SERVER_ERROR)
  flaky(@Body() { fail }: FlakyDto, @Operation() { attempt }: IdempotentOperation) {
    this.effects.ran('POST /flaky');
    if (attempt <= fail)
      throw new ProblemException(
        HttpStatus.INTERNAL_SERVER_ERROR,
        `Attempt ${attempt} failed, as ${fail} were asked to.`,
      );
    return { fail, attempt };
  }
}
