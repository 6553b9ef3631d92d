import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { IdempotencyModuleOptions } from './idempotency.options.js';
import type { TokenControllerOptions } from './token-options.js';

/** Injection token of the store, an {@link IdempotencyStore}. */
export const IDEMPOTENCY_STORE = Symbol.for('nestjs-idempotency:store');
/**
 * Injection token of the clock that measures leases and waits in this process. Tests override it.
 */
export const IDEMPOTENCY_CLOCK = Symbol.for('nestjs-idempotency:clock');

/** Injection token of what is known about values: the classes, and `class-transformer`. */
export const REPLY_VALUES = Symbol.for('nestjs-idempotency:reply-values');

/** Options that decide how the module is registered, beside those of `forRoot()`. */
export interface IdempotencyModuleExtras {
  /**
   * Whether other modules can use it without importing it.
   * @default true
   */
  isGlobal?: boolean;
  /**
   * A route where clients ask for tokens: `true` for `POST /idempotency/tokens`, or another path
   * and guards. Nest registers routes before factories run, so with `forRootAsync()` it is beside
   * the factory too.
   * @default false
   */
  tokenController?: boolean | TokenControllerOptions;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<IdempotencyModuleOptions>()
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createIdempotencyOptions')
    .setExtras<IdempotencyModuleExtras>(
      { isGlobal: true, tokenController: false },
      (definition, { isGlobal = true }) => ({ ...definition, global: isGlobal }),
    )
    .build();
