import { Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { wrongOption } from '../engine/configuration-error.js';
import { STRATEGY_METADATA } from '../options/metadata.js';
import type { IdempotencyStrategyContract } from './strategy.js';

/** The strategies of an application: every provider with `@IdempotencyStrategy()`. */
@Injectable()
export class StrategyRegistry {
  private byName: Map<string, IdempotencyStrategyContract> | undefined;

  constructor(private readonly discovery: DiscoveryService) {}

  /** @throws {@link IdempotencyConfigurationError} if there is none with that name */
  get(name: string): IdempotencyStrategyContract {
    this.byName ??= this.discover();
    const strategy = this.byName.get(name);
    if (strategy !== undefined) return strategy;
    throw wrongOption(
      'strategy',
      name,
      [...this.byName.keys()].map((known) => `'${known}'`).join(', '),
      `Correct the name, or add a provider with @IdempotencyStrategy('${name}') to a module.`,
    );
  }

  private discover(): Map<string, IdempotencyStrategyContract> {
    const found = new Map<string, IdempotencyStrategyContract>();
    for (const { metatype, instance } of this.discovery.getProviders()) {
      if (typeof metatype !== 'function' || !instance) continue;
      const name = Reflect.getMetadata(STRATEGY_METADATA, metatype) as string | undefined;
      if (name !== undefined) found.set(name, instance as IdempotencyStrategyContract);
    }
    return found;
  }
}

/** Registers a provider as the strategy of this name. */
export function IdempotencyStrategy(name: string): ClassDecorator {
  return (target) => {
    Injectable()(target);
    Reflect.defineMetadata(STRATEGY_METADATA, name, target);
  };
}
