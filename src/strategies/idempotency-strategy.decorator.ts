import { Injectable } from '@nestjs/common';
import { STRATEGY_METADATA } from '../options/metadata.js';

/** Registers a provider as the strategy of this name. */
export function IdempotencyStrategy(name: string): ClassDecorator {
  return (target) => {
    Injectable()(target);
    Reflect.defineMetadata(STRATEGY_METADATA, name, target);
  };
}
