import type { IdempotencyEvent } from 'nestjs-idempotency';

interface EntryBase {
  /** Names the request, delivery or run that this is part of, in all processes of the shop. */
  readonly call: string;
  /** When, in milliseconds since 1970, by the clock of the server. */
  readonly at: number;
}

/** A request came in, a message was delivered, or work began that nobody had asked for. */
export interface Started extends EntryBase {
  readonly entry: 'started';
  readonly kind: 'request' | 'message' | 'background';
  /** A request's method and where its path begins, or the handler. The rest of a path may hold keys. */
  readonly title: string;
  /** The `X-Request-Id` that came with a request. */
  readonly requestId?: string;
  /** True for what came to the worker that is there to be killed. */
  readonly isWorkers?: boolean;
}

/** What the library told about it, without what could hold a key. */
export interface Happened extends EntryBase {
  readonly entry: 'happened';
  readonly type: IdempotencyEvent['type'];
  readonly scope: string;
  readonly attempt?: number;
  readonly durationMs?: number;
  readonly code?: string;
}

/** It is over: `lost` when the client was gone before the reply, `killed` when the process was. */
export interface Ended extends EntryBase {
  readonly entry: 'ended';
  readonly how: 'answered' | 'lost' | 'killed';
  readonly status?: number;
  readonly retryAfter?: string;
  readonly isReplayed?: boolean;
}

export type TimelineEntry = Started | Happened | Ended;
