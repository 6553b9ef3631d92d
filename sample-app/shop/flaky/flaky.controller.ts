import { Body, Controller, HttpStatus, Post } from '@nestjs/common';
import { ApiCreatedResponse } from '@nestjs/swagger';
import { Idempotent, Operation, type IdempotentOperation } from 'nestjs-idempotency';
import { ApiProblems } from '../common/problems/api-problems.decorator.js';
import { ProblemException } from '../common/problems/problems.js';
import { FlakyDto, FlakyReplyDto } from './flaky.dto.js';

@Controller('flaky')
export class FlakyController {
  /** Fails at first. A failure does not use up the key, so the retry runs as the next attempt. */
  @Post()
  @Idempotent()
  @ApiCreatedResponse({ type: FlakyReplyDto })
  @ApiProblems(HttpStatus.BAD_REQUEST, HttpStatus.INTERNAL_SERVER_ERROR)
  flaky(@Body() { fail }: FlakyDto, @Operation() { attempt }: IdempotentOperation) {
    if (attempt <= fail)
      throw new ProblemException(
        HttpStatus.INTERNAL_SERVER_ERROR,
        `Attempt ${attempt} failed, as requested for the first ${fail}.`,
      );
    return { fail, attempt };
  }
}
