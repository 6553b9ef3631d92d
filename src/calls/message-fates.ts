import type { LoggerService } from '@nestjs/common';
import type { EventSink, MessageCode } from '../engine/events.js';
import type { ProtectedHandler } from '../handlers/protected-handler.js';

/**
 * What became of a message that was not processed.
 *
 * - `dropped`: nobody delivers it again.
 * - `rejected`: its queue gets it back for good: it goes to the dead letters, if there are any.
 * - `returned`: it is delivered again.
 * - `skipped`: there was nothing left to do.
 * - `answered`: its sender was told.
 * - `thrown`: an error handler of the application decides.
 */
export type Fate = 'dropped' | 'rejected' | 'returned' | 'skipped' | 'answered' | 'thrown';

/** The end of every sentence, for operators. */
const SENTENCES = {
  dropped: 'a message was dropped. Its transport does not deliver it again',
  rejected:
    'a message was rejected. It is now among the dead letters if its queue has any. Otherwise it is gone',
  returned: 'a message was given back and will be delivered again',
  skipped: 'a message was skipped, because there was nothing left to do',
  answered: 'a request was refused, and its sender was told',
  thrown: 'a request was refused. The error handler of its consumer decides what its sender gets',
} as const satisfies Record<Fate, string>;

const LEVELS = {
  dropped: 'error',
  rejected: 'error',
  returned: 'warn',
  skipped: 'log',
  answered: 'log',
  thrown: 'warn',
} as const satisfies Record<Fate, keyof LoggerService>;

/** The events of messages that are lost or given back. */
const EVENTS: Readonly<Partial<Record<Fate, 'dropped' | 'returned'>>> = {
  dropped: 'dropped',
  rejected: 'dropped',
  returned: 'returned',
};

/** What a line and an event say of a message. Never its key or its content. */
export interface Unprocessed {
  readonly scope: string;
  readonly code: MessageCode;
  /** The record's id, if the handler ran. */
  readonly id?: string;
  /** The error that nobody else reports, because the transport must not see it. */
  readonly error?: unknown;
}

/**
 * Reports every message that is not processed: one line in the log, and one event if it is dropped
 * or given back. The engine itself publishes the event of a refusal.
 */
export class MessageFates {
  constructor(
    private readonly events: EventSink,
    private readonly logger: LoggerService,
  ) {}

  report(fate: Fate, { policy }: Pick<ProtectedHandler, 'policy'>, message: Unprocessed): void {
    const { scope, code, id, error } = message;
    const line = `${code} on ${scope}: ${SENTENCES[fate]}.`;
    if (error instanceof Error) this.logger[LEVELS[fate]](line, error.stack);
    else this.logger[LEVELS[fate]](line);
    const type = EVENTS[fate];
    if (type === undefined || !this.events.hasListeners) return;
    const event = { scope, strategy: policy.strategy, code, ...(id !== undefined && { id }) };
    // TypeScript tells the two events apart only in branches.
    this.events.emit(type === 'returned' ? { type, ...event } : { type, ...event });
  }
}
