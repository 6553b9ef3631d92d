import { Controller, Get, HttpStatus, Post } from '@nestjs/common';
import { ApiProblems } from '../common/problems/api-problems.decorator.js';
import { ProblemException } from '../common/problems/problems.js';

/** The queue needs Redis. */
@Controller('imports')
@ApiProblems(HttpStatus.NOT_IMPLEMENTED)
export class NoImportsController {
  @Post()
  import(): never {
    throw notImplemented();
  }

  @Get(':id')
  find(): never {
    throw notImplemented();
  }
}

function notImplemented(): ProblemException {
  return new ProblemException(
    HttpStatus.NOT_IMPLEMENTED,
    'Imports use a queue, which needs Redis. Start the shop with REDIS_URL=redis://127.0.0.1:6379.',
  );
}
