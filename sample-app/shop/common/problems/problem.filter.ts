import { Catch, type ArgumentsHost } from '@nestjs/common';
import { BaseExceptionFilter } from '@nestjs/core';
import { ProblemException } from './problems.js';

/**
 * Sends the shop's problems as `application/problem+json`. Nest and the library send everything
 * else.
 */
@Catch(ProblemException)
export class ProblemFilter extends BaseExceptionFilter<ProblemException> {
  override catch(problem: ProblemException, host: ArgumentsHost): void {
    this.httpAdapterHost?.httpAdapter.setHeader(
      host.switchToHttp().getResponse(),
      'Content-Type',
      'application/problem+json; charset=utf-8',
    );
    super.catch(problem, host);
  }
}
