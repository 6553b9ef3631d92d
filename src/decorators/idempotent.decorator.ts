import { UseGuards, UseInterceptors } from '@nestjs/common';
import { handlerRuns } from '../operation/handler-run.js';
import { entryOf, injectEntry } from '../transports/method/instance-entry.js';
import { IdempotencyGuard } from '../transports/idempotency.guard.js';
import { IdempotencyInterceptor } from '../transports/idempotency.interceptor.js';
import type { IdempotentDeclaration, IdempotentOptions } from '../options/idempotency.options.js';
import { DECORATED_METADATA, METHOD_METADATA, OPTIONS_METADATA } from '../options/metadata.js';
import { isStateChanging } from '../handlers/state-changing.js';

type Handler = (this: unknown, ...args: unknown[]) => unknown;

/**
 * Makes a handler safe to retry: the work happens once, every retry gets the first reply. On a
 * method of a provider it does the same for every call: the method then answers with a promise.
 *
 * On a controller it covers the routes that change state (not GET, HEAD and OPTIONS) and the handlers
 * of events, on a resolver of GraphQL the mutations; options of a handler are merged over those of
 * its class, and those over the module's `defaults`.
 *
 * Several on one handler are layers around it, outermost first: `unique-key` around `version`,
 * `lock` around anything. The handler runs when all of them let it.
 *
 * @throws {@link IdempotencyConfigurationError} when the application boots, for a wrong option
 *
 * @example
 * ```ts
 * @Idempotent({ key: body<PayDto>('orderNo'), wait: '5s' })
 * @Post('payments')
 * pay(@Body() dto: PayDto) {}
 * ```
 */
export function Idempotent(options: IdempotentDeclaration = {}): MethodDecorator & ClassDecorator {
  const decorate = (
    target: object,
    property?: string | symbol,
    descriptor?: PropertyDescriptor,
  ): void => {
    if (property === undefined || descriptor === undefined)
      decorateClass(target as NewableFunction, options);
    else decorateMethod(target, property, descriptor, options);
  };
  return decorate as MethodDecorator & ClassDecorator;
}

function decorateClass(target: NewableFunction, options: IdempotentOptions): void {
  Reflect.defineMetadata(OPTIONS_METADATA, options, target);
  const prototype = target.prototype as object;
  for (const [name, descriptor] of stateChangingMethods(prototype)) {
    if (Reflect.hasMetadata(METHOD_METADATA, descriptor.value as object)) continue;
    decorateMethod(prototype, name, descriptor, {});
    Object.defineProperty(prototype, name, descriptor);
  }
}

function decorateMethod(
  target: object,
  name: string | symbol,
  descriptor: PropertyDescriptor,
  options: IdempotentOptions,
): void {
  const original = descriptor.value as Handler;
  const handler: Handler = function (...args) {
    const run = handlerRuns.getStore();
    const call = (): unknown => original.apply(this, args);
    if (run?.expects(handler)) return run.follow(call);
    // Frameworks protect the handlers that they call; a method of a provider protects itself.
    return entryOf(this)?.call(handler, this as object, args, call) ?? call();
  };
  // Nest and stack traces show it.
  Object.defineProperty(handler, 'name', { value: original.name, configurable: true });
  // What decorators below this one have left on the method.
  for (const key of Reflect.getMetadataKeys(original))
    Reflect.defineMetadata(key, Reflect.getMetadata(key, original), handler);
  descriptor.value = handler;
  const within = (Reflect.getMetadata(OPTIONS_METADATA, original) ?? []) as IdempotentOptions[];
  Reflect.defineMetadata(OPTIONS_METADATA, [options, ...within], handler);
  Reflect.defineMetadata(METHOD_METADATA, handler, handler);
  Reflect.defineMetadata(DECORATED_METADATA, true, target, name);
  if (within.length > 0) return;
  injectEntry(target);
  UseGuards(IdempotencyGuard)(target, name, descriptor);
  UseInterceptors(IdempotencyInterceptor)(target, name, descriptor);
}

/** Also inherited ones: the class that is decorated gets its own protected version of them. */
function* stateChangingMethods(prototype: object): Generator<[string, PropertyDescriptor]> {
  const seen = new Set<string>(['constructor']);
  for (let owner: object | null = prototype; owner !== null && owner !== Object.prototype;) {
    for (const name of Object.getOwnPropertyNames(owner)) {
      if (seen.has(name)) continue;
      seen.add(name);
      const descriptor = Object.getOwnPropertyDescriptor(owner, name);
      const method: unknown = descriptor?.value;
      if (isStateChanging(method)) yield [name, { ...descriptor }];
    }
    owner = Object.getPrototypeOf(owner) as object | null;
  }
}
