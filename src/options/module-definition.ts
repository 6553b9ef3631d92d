import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { IdempotencyModuleOptions } from './idempotency.options.js';
import type { TokenControllerOptions } from './token-options.js';

/** Token of the store, an {@link IdempotencyStore}. */
export const IDEMPOTENCY_STORE = Symbol.for('nestjs-idempotency:store');
/** Token of the clock that measures leases and waits in this process; tests override it. */
export const IDEMPOTENCY_CLOCK = Symbol.for('nestjs-idempotency:clock');

/** Options that decide how the module is registered; beside those of `forRoot()`. */
export interface IdempotencyModuleExtras {
  /**
   * Whether the module is there for all others without being imported by them.
   * @default true
   */
  isGlobal?: boolean;
  /**
   * A route at which clients ask for tokens: `true` for `POST /idempotency/tokens`, or another
   * path, and guards. Routes are known before factories run, so it stands here for
   * `forRootAsync()` too.
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
