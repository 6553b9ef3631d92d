import { Body, Controller, Get, HttpStatus, Param, Post } from '@nestjs/common';
import { ApiOkResponse } from '@nestjs/swagger';
import { Idempotent } from 'nestjs-idempotency';
import { QueuedOperations } from 'nestjs-idempotency/bullmq';
import { ApiProblems } from '../common/problems/api-problems.decorator.js';
import { ProblemException } from '../common/problems/problems.js';
import { ImportDto, ImportId, ImportStateDto } from './imports.dto.js';

/** The queue for imports. */
export const IMPORTS = 'imports';

@Controller('imports')
export class ImportsController {
  constructor(private readonly operations: QueuedOperations) {}

  /** Answers 202 with the location of the result. The worker gets what this returns. */
  @Post()
  @Idempotent({ strategy: 'queue', queue: IMPORTS })
  import(@Body() { rows }: ImportDto): ImportDto {
    return { rows };
  }

  @Get(':id')
  @ApiOkResponse({ type: ImportStateDto })
  @ApiProblems(HttpStatus.NOT_FOUND)
  async find(@Param() { id }: ImportId) {
    const operation = await this.operations.find(IMPORTS, id);
    if (!operation) throw new ProblemException(HttpStatus.NOT_FOUND, 'This import does not exist.');
    return operation;
  }
}
