import { STATUS_CODES } from 'node:http';
import { HttpException, HttpStatus, type ValidationError } from '@nestjs/common';

/** An error of the shop as problem details (RFC 9457), the same form as idempotency errors. */
export class ProblemException extends HttpException {
  constructor(status: HttpStatus, detail: string, members: Readonly<Record<string, unknown>> = {}) {
    super({ type: 'about:blank', title: STATUS_CODES[status], status, detail, ...members }, status);
  }
}

/** The error of the validation pipe: which fields are wrong, and why. */
export function invalidRequest(errors: readonly ValidationError[]): ProblemException {
  const fields = Object.fromEntries(
    errors.map(({ property, constraints }) => [property, Object.values(constraints ?? {})]),
  );
  return new ProblemException(HttpStatus.BAD_REQUEST, 'The request is not valid.', { fields });
}
