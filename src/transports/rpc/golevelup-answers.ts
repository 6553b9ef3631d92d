import { Injectable, Logger, type OnModuleInit, type Type } from '@nestjs/common';
import { DiscoveryService, ModuleRef } from '@nestjs/core';
import { isNack, type Nack } from '../../calls/failure.js';
import { MessageFates } from '../../calls/message-fates.js';
import type { Outcome } from '../../calls/value-transport.js';
import { wrongOption } from '../../engine/configuration-error.js';
import { IdempotencyEngine } from '../../engine/engine.js';
import { classOf, methodsOf } from '../../handlers/declared-methods.js';
import { HandlerRegistry } from '../../handlers/handler-registry.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import { INTERCEPTORS, recordingClass } from '../../handlers/serializer-check.js';
import { isRawMessage, rabbitKeyOf } from './golevelup.js';
import type { MessageCall } from './messages.js';
import {
  codeOf,
  idOf,
  isAnswered,
  isLastRun,
  SKIPPED,
  THROUGH,
  type Unsuccessful,
  verdictOn,
} from './verdicts.js';

/** The part of `@golevelup/nestjs-rabbitmq` that is used. */
interface Golevelup {
  readonly Nack: new (requeue?: boolean) => Nack;
  readonly RABBIT_HANDLER: symbol;
}

/**
 * What the handlers of `@golevelup/nestjs-rabbitmq` return in place of a result. The package
 * acknowledges a message, unless its handler returns a `Nack` or throws: then the error handlers of the
 * application decide.
 */
@Injectable()
export class GolevelupAnswers implements OnModuleInit {
  private readonly fates: MessageFates;
  private golevelup: Golevelup | undefined;

  constructor(
    private readonly engine: IdempotencyEngine,
    private readonly handlers: HandlerRegistry,
    private readonly discovery: DiscoveryService,
    private readonly moduleRef: ModuleRef,
  ) {
    this.fates = new MessageFates(engine.events, new Logger('Idempotency'));
  }

  /** @throws {@link IdempotencyConfigurationError} if the copy that calls a handler cannot be found */
  async onModuleInit(): Promise<void> {
    for (const { name, method, message } of this.handlers.ofKind('rpc')) {
      if (message?.isSettledByLibrary !== true) continue;
      this.golevelup ??= await imported(name);
      if (rabbitKeyOf(method as object) !== this.golevelup.RABBIT_HANDLER)
        throw notTheSame(name, 'another copy of @golevelup/nestjs-rabbitmq');
    }
    if (this.golevelup === undefined) return;
    for (const wrapper of [...this.discovery.getControllers(), ...this.discovery.getProviders()]) {
      const type = classOf(wrapper);
      if (type === undefined) continue;
      for (const [, method] of methodsOf(type))
        if (rabbitKeyOf(method) !== undefined) this.instantiate(method);
    }
  }

  /**
   * For handlers that are called from outside of its routes, Nest looks for the classes of interceptors
   * in the module that lists the handler's class as a provider. There is none for a controller, nor for
   * an object that a factory makes. It takes instances as they are.
   */
  private instantiate(method: object): void {
    const given = (Reflect.getMetadata(INTERCEPTORS, method) ?? []) as readonly unknown[];
    const made = given.map((one) => {
      const type = recordingClass(one);
      return type === undefined ? one : this.moduleRef.get(type as Type, { strict: false });
    });
    Reflect.defineMetadata(INTERCEPTORS, made, method);
  }

  /** True for a returned value that says that the work has to be done again. */
  isNack(value: unknown): value is Nack {
    return isNack(value) || (this.golevelup !== undefined && value instanceof this.golevelup.Nack);
  }

  /** The handler returned. After the last attempt, the message does not go back to its queue. */
  returned(
    values: readonly unknown[],
    { scope }: MessageCall,
    handler: ProtectedHandler,
    outcome: Outcome,
  ): readonly unknown[] {
    const value = values.at(-1);
    if (!this.isNack(value)) return values.length === 0 ? THROUGH : values;
    const isLast = isLastRun(outcome);
    const code = isLast ? 'IDEMPOTENCY_ATTEMPTS_EXHAUSTED' : 'HANDLER_GAVE_BACK';
    const fate = value.requeue && !isLast ? 'returned' : 'rejected';
    this.fates.report(fate, handler, { scope, code, id: idOf(outcome) });
    return isLast ? this.nack(false) : [value];
  }

  /**
   * The message was not processed.
   *
   * @param shown the error in the form that its handlers get
   * @throws what the application's error handlers decide about: a failure that is not the last one, and
   *   the refusal of a request
   */
  async ended(
    call: MessageCall,
    handler: ProtectedHandler,
    ended: Unsuccessful,
    shown: unknown,
  ): Promise<readonly unknown[]> {
    const { scope, context } = call;
    const { refusal, isReplay, isLast, id, error } = ended;
    const hasCaller = isAnswered(call, handler);
    const code = codeOf(ended);
    if (isReplay) {
      // The failure is the operation's result, which is known already.
      if (hasCaller) throw shown;
      return THROUGH;
    }
    if (refusal === undefined) {
      if (!isLast) throw shown;
      this.fates.report('rejected', handler, { scope, code, id, error });
      return this.nack(false);
    }
    if (!hasCaller && SKIPPED.has(refusal.code)) {
      this.fates.report('skipped', handler, { scope, code });
      return THROUGH;
    }
    if (verdictOn(refusal) === 'requeue') {
      this.fates.report('returned', handler, { scope, code });
      await this.pause(handler);
      return this.nack(true);
    }
    // An error handler that gives every message back must not do so for ever.
    const isRepeated = isRawMessage(context) && context.fields.redelivered;
    if (hasCaller && !isRepeated) {
      this.fates.report('thrown', handler, { scope, code });
      throw shown;
    }
    this.fates.report('rejected', handler, { scope, code });
    return this.nack(false);
  }

  private nack(requeue: boolean): readonly unknown[] {
    return [new this.golevelup!.Nack(requeue)];
  }

  /** RabbitMQ delivers a message that is given back at once. */
  private pause({ policy }: ProtectedHandler): Promise<void> {
    return new Promise((resolve) => {
      this.engine.clock.after(policy.retryAfterMs, resolve);
    });
  }
}

async function imported(name: string): Promise<Golevelup> {
  try {
    const found = (await import('@golevelup/nestjs-rabbitmq')) as unknown as Golevelup & {
      readonly default?: Golevelup;
    };
    return found.Nack === undefined ? found.default! : found;
  } catch (cause) {
    throw notTheSame(name, 'a copy of @golevelup/nestjs-rabbitmq that cannot be imported', cause);
  }
}

function notTheSame(name: string, given: string, cause?: unknown): Error {
  const error = wrongOption(
    '@Idempotent()',
    `${name}, a handler of ${given}`,
    'handlers of the copy of @golevelup/nestjs-rabbitmq that nestjs-idempotency finds',
    'Install one copy of the package, beside nestjs-idempotency (npm ls @golevelup/nestjs-rabbitmq).',
  );
  return cause === undefined ? error : Object.assign(error, { cause });
}
