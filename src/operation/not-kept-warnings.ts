import { Injectable, Logger } from '@nestjs/common';
import {
  type NotKeepableError,
  notKeptWarning,
  shownStep,
  stepNotKeptWarning,
} from '../replies/not-keepable.js';
import { UnknownTypeError } from '../replies/restored-value.js';

/** Warnings name classes, of which a program may make any number. */
const MOST_WARNINGS = 1_000;

/** Says once per handler and class why its values are not kept. */
@Injectable()
export class NotKeptWarnings {
  private readonly logger = new Logger('Idempotency');
  private readonly given = new Set<string>();

  /** @param name `ClassName.methodName` */
  ofReply(name: string, error: NotKeepableError): void {
    if (this.isNew(`reply ${name} ${error.kind}`)) this.logger.warn(notKeptWarning(name, error));
  }

  ofStep(name: string, step: string, error: NotKeepableError): void {
    if (this.isNew(`${shownStep(step)} ${name} ${error.kind}`))
      this.logger.warn(stepNotKeptWarning(name, step, error));
  }

  /** Callers only learn that a record cannot be read, so operators are told why. */
  unreadableStep(name: string, step: string, cause: unknown): void {
    // What a type throws may show content.
    const because = cause instanceof UnknownTypeError ? cause.message : 'The record is damaged.';
    this.logger.error(
      `IDEMPOTENCY_RECORD_UNREADABLE: the result of ${shownStep(step)} of ${name} cannot be read: ${because}`,
    );
  }

  private isNew(warning: string): boolean {
    if (this.given.has(warning) || this.given.size >= MOST_WARNINGS) return false;
    this.given.add(warning);
    return true;
  }
}
