import type { CallHandler, ExecutionContext } from '@nestjs/common';
import type { Observable } from 'rxjs';
import type { Awaitable } from '../engine/awaitable.js';
import type { ProtectedHandler } from '../handlers/protected-handler.js';
import type { CallKind } from '../keys/call.js';

/** Receives calls of one kind, within Nest's pipeline. */
export interface Transport {
  readonly kind: CallKind;
  /** The guard's part: refuses what can be refused without any I/O. */
  check?(context: ExecutionContext, handler: ProtectedHandler): void;
  /** The interceptor's part: claims, then runs, replays or refuses. */
  intercept(
    context: ExecutionContext,
    next: CallHandler,
    handler: ProtectedHandler,
  ): Awaitable<Observable<unknown>>;
}

/** Every {@link Transport} by its kind. */
export type Transports = ReadonlyMap<string, Transport>;

/** {@link Transports} */
export const TRANSPORTS = Symbol.for('nestjs-idempotency:transports');
