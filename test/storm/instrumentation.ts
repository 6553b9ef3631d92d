import { Injectable, Module, type OnModuleInit, type Type } from '@nestjs/common';
import { DiscoveryModule, DiscoveryService } from '@nestjs/core';
import type { Random } from '../support/random.js';
import type { Making } from './handlers.js';
import type { Form } from './plan.js';

type Method = (this: unknown, ...args: unknown[]) => unknown;
type Payable = { pay: Method };

const WRAPPED: readonly Form[] = ['wrapped on the prototype', 'wrapped on the instance'];

/** What tracing and aspects do to handlers: put a function of their own around, with all metadata. */
export function instrumentation(
  makings: readonly Making[],
  controllers: readonly Type[],
  random: Random,
): Type[] {
  const wanted = makings.filter(({ plan: { form } }) => WRAPPED.includes(form));
  if (wanted.length === 0) return [];
  const placeOf = new Map(wanted.map(({ plan: { name, form } }) => [name, form]));
  const isEarly = random.isBelow(0.5);
  const patch = (discovery: DiscoveryService): void => {
    for (const { metatype, instance } of discovery.getControllers()) {
      if (metatype === null || !controllers.includes(metatype as Type)) continue;
      const form = placeOf.get(Reflect.getMetadata('path', metatype) as string);
      if (form === 'wrapped on the prototype') around((metatype as Type<Payable>).prototype);
      if (form === 'wrapped on the instance') around(instance as Payable);
    }
  };

  @Injectable()
  class Instrumentation implements OnModuleInit {
    constructor(private readonly discovery: DiscoveryService) {
      if (isEarly) patch(discovery);
    }

    onModuleInit(): void {
      if (!isEarly) patch(this.discovery);
    }
  }

  @Module({ imports: [DiscoveryModule], providers: [Instrumentation] })
  class InstrumentationModule {}
  return [InstrumentationModule];
}

function around(target: Payable): void {
  const original = target.pay;
  const wrapper: Method = function (...args) {
    return original.apply(this, args);
  };
  for (const key of Reflect.getMetadataKeys(original))
    Reflect.defineMetadata(key, Reflect.getMetadata(key, original), wrapper);
  target.pay = wrapper;
}
