import { Logger } from '@nestjs/common';
import type { ApplicationConfig, ModulesContainer } from '@nestjs/core';
import { IdempotencyConfigurationError } from '../engine/configuration-error.js';
import type { IdempotentOptions } from '../options/idempotency.options.js';
import { OPTIONS_METADATA } from '../options/metadata.js';
import type { CronJobs } from './cron-jobs.js';
import type { Declared } from './declared-methods.js';
import type { Entrance } from './entrance.js';
import { fieldEntrance, isResolver } from './field-entrance.js';
import { messageEntrance } from './message-entrance.js';
import { methodEntrance } from './method-entrance.js';
import { routeEntrance } from './route-entrance.js';

/** On which ways calls come to the protected methods of an application. */
export class Entrances {
  private readonly logger = new Logger('Idempotency');

  constructor(
    private readonly modules: ModulesContainer,
    private readonly config: ApplicationConfig,
    private readonly cronJobs: CronJobs,
  ) {}

  /**
   * Of a controller's method, whose routes may be mounted by several modules. Nothing for one that
   * needs no protection.
   *
   * @throws {@link IdempotencyConfigurationError}
   */
  ofController(
    { type, name, method }: Declared,
    mounts: readonly (NewableFunction | undefined)[],
  ): Entrance[] {
    const applicationId = String((this.modules as { applicationId?: string }).applicationId ?? '');
    const sources = mounts.map((module) => ({
      controller: type,
      handler: method,
      module,
      applicationId,
    }));
    const route = routeEntrance(sources, this.config, (warning) => this.logger.warn(warning));
    const message = messageEntrance(name, method);
    if (route === undefined && message === undefined) throw notAHandler(name);
    return [route, message].filter((one) => one !== undefined && one !== 'safe') as Entrance[];
  }

  /**
   * Of a provider's method. Nothing for a field that needs no protection.
   *
   * @throws {@link IdempotencyConfigurationError}
   */
  ofProvider(declared: Declared): Entrance[] {
    const field = fieldEntrance(declared, (warning) => this.logger.warn(warning));
    return field === 'safe' ? [] : [field ?? methodEntrance(declared, this.cronJobs)];
  }
}

/** @throws {@link IdempotencyConfigurationError} for a class that only its methods could carry it for */
export function checkProvider(type: NewableFunction): void {
  if (!Reflect.hasMetadata(OPTIONS_METADATA, type) || isResolver(type)) return;
  throw new IdempotencyConfigurationError({
    option: '@Idempotent()',
    given: type.name,
    accepted: 'a controller, a resolver, or single methods of a provider',
    remedy: 'Put the decorator on the methods that must not run twice.',
  });
}

/** @throws {@link IdempotencyConfigurationError} for `acknowledge` where there is nothing to acknowledge */
export function checkAcknowledge(
  name: string,
  layers: readonly IdempotentOptions[],
  entrances: readonly Entrance[],
): void {
  const given = layers.find(({ acknowledge }) => acknowledge !== undefined)?.acknowledge;
  if (given === undefined || entrances.some(({ kind }) => kind === 'rpc')) return;
  throw new IdempotencyConfigurationError({
    option: `acknowledge of ${name}`,
    given,
    accepted: 'nothing on what handles no messages',
    remedy: 'Remove the option.',
  });
}

function notAHandler(name: string): IdempotencyConfigurationError {
  return new IdempotencyConfigurationError({
    option: '@Idempotent()',
    given: name,
    accepted: 'handlers of routes or messages, in a controller',
    remedy:
      'Put the decorator on the handler, or protect other code with IdempotencyService.run().',
  });
}
