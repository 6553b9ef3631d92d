import * as nest from '@nestjs/common';
import type { KnownTypes } from '../replies/known-types.js';
import { IdempotencyException, restoredRefusal } from './idempotency.exception.js';

/**
 * Makes Nest's exceptions known, and the refusals of this library. Exceptions of the application come
 * back as the exception of Nest that they extend, with their name and their data.
 */
export function addExceptions(types: KnownTypes): void {
  types.add({
    name: 'nestjs-idempotency:refusal',
    class: IdempotencyException,
    trust: 'named',
    toData: (refusal) => refusalData(refusal as IdempotencyException),
    fromData: (data) => refusalOf(data as RefusalData),
    coversSubclasses: true,
  });
  for (const [name, exported] of Object.entries(nest as Readonly<Record<string, unknown>>))
    if (isExceptionClass(exported))
      types.add({
        name: `@nestjs/common:${name}`,
        class: exported,
        trust: 'data',
        coversSubclasses: true,
      });
}

interface RefusalData {
  readonly problem: object;
  readonly status: number;
  readonly retryAfterSeconds: number | undefined;
}

function refusalData(refusal: IdempotencyException): RefusalData {
  const { problem, retryAfterSeconds } = refusal;
  return { problem, status: refusal.getStatus(), retryAfterSeconds };
}

function refusalOf({ problem, status, retryAfterSeconds }: RefusalData): unknown {
  return (
    restoredRefusal(problem, status, retryAfterSeconds) ?? new nest.HttpException(problem, status)
  );
}

/** A refusal of another copy of this package (ESM beside CJS) as one of this copy. */
export function ownRefusal(refusal: IdempotencyException): unknown {
  return refusal instanceof IdempotencyException ? refusal : refusalOf(refusalData(refusal));
}

function isExceptionClass(exported: unknown): exported is typeof nest.HttpException {
  return (
    typeof exported === 'function' &&
    (exported === nest.HttpException || exported.prototype instanceof nest.HttpException)
  );
}
