import { UseGuards, UseInterceptors } from '@nestjs/common';
import { type IdempotencyConfigurationError, wrongOption } from '../engine/configuration-error.js';
import { handlerRuns } from '../operation/handler-run.js';
import { callerOf, injectCaller } from '../transports/method/instances.js';
import { IdempotencyGuard } from '../transports/idempotency.guard.js';
import { IdempotencyInterceptor } from '../transports/idempotency.interceptor.js';
import type { IdempotentDeclaration, IdempotentOptions } from '../options/idempotency.options.js';
import {
  DECORATED_METADATA,
  GENERATOR_METADATA,
  METHOD_METADATA,
  OPTIONS_METADATA,
  SKIPPED_METADATA,
} from '../options/metadata.js';
import { changesState } from '../transports/index.js';

type Handler = (this: unknown, ...args: unknown[]) => unknown;

/**
 * Makes a handler safe to retry: the work happens once, and every retry gets the first reply. It
 * also works on a method of a provider, which then returns a promise.
 *
 * On a controller class it covers the handlers of events and the routes that change state (not GET,
 * HEAD and other safe methods). On a GraphQL resolver it covers the mutations. Options of a handler
 * override those of its class, which override the module's `defaults`.
 *
 * You can stack several on one handler, outermost first: `unique-key` around `version`, `lock`
 * around anything. The handler runs if all of them allow it.
 *
 * @throws {@link IdempotencyConfigurationError} when the application boots, for an invalid option
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
    if (property === undefined) decorateClass(target as NewableFunction, options);
    else if (descriptor === undefined)
      throw unprotectable(
        `${target.constructor.name}.${String(property)}, a property`,
        'Make it a method.',
      );
    else decorateMethod(target, property, descriptor, options);
  };
  return decorate as MethodDecorator & ClassDecorator;
}

function decorateClass(target: NewableFunction, options: IdempotentOptions): void {
  Reflect.defineMetadata(OPTIONS_METADATA, options, target);
  const prototype = target.prototype as object;
  for (const [name, descriptor] of stateChangingMethods(prototype)) {
    const method = descriptor.value as object;
    if (Reflect.hasMetadata(METHOD_METADATA, method)) continue;
    if (Reflect.hasMetadata(SKIPPED_METADATA, method)) continue;
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
  const original = protectable(target, name, descriptor);
  const handler: Handler = function (...args) {
    const run = handlerRuns.getStore();
    const call = (): unknown => original.apply(this, args);
    if (run?.expects(handler)) return run.follow(call, { instance: this, name });
    // `super.pay()`, or the next layer of the same method.
    if (run?.isWithin(this, name, handler)) return call();
    // Frameworks protect the handlers that they call; a method of a provider protects itself.
    return callerOf(this, name).call({ method: handler, name, instance: this, args }, call);
  };
  // Nest and stack traces show this name.
  Object.defineProperty(handler, 'name', { value: original.name, configurable: true });
  // Copies what decorators below this one left on the method.
  for (const key of Reflect.getMetadataKeys(original))
    Reflect.defineMetadata(key, Reflect.getMetadata(key, original), handler);
  // Checked at boot, because a GraphQL subscription may be a generator: it needs no protection.
  if (isGenerator(original)) Reflect.defineMetadata(GENERATOR_METADATA, true, handler);
  descriptor.value = handler;
  const within = (Reflect.getMetadata(OPTIONS_METADATA, original) ?? []) as IdempotentOptions[];
  Reflect.defineMetadata(OPTIONS_METADATA, [options, ...within], handler);
  Reflect.defineMetadata(METHOD_METADATA, handler, handler);
  Reflect.defineMetadata(DECORATED_METADATA, true, target, name);
  if (within.length > 0) return;
  injectCaller(target);
  UseGuards(IdempotencyGuard)(target, name, descriptor);
  UseInterceptors(IdempotencyInterceptor)(target, name, descriptor);
}

/**
 * The function to protect.
 *
 * @throws {@link IdempotencyConfigurationError} for what can never be protected
 */
function protectable(
  target: object,
  name: string | symbol,
  { value }: PropertyDescriptor,
): Handler {
  if (typeof target === 'function') {
    throw unprotectable(
      `${target.name}.${String(name)}, a static method`,
      'Make it a method of a provider, or protect what it does with IdempotencyService.run().',
    );
  }
  const place = `${target.constructor.name}.${String(name)}`;
  if (typeof value !== 'function') {
    throw unprotectable(`${place}, an accessor`, 'Make it a method.');
  }
  if (Reflect.hasMetadata(SKIPPED_METADATA, value)) {
    throw unprotectable(
      `${place}, which has @SkipIdempotency() too`,
      'Remove one of the two decorators.',
    );
  }
  return value as Handler;
}

function unprotectable(given: string, remedy: string): IdempotencyConfigurationError {
  return wrongOption(
    '@Idempotent()',
    given,
    'methods of instances that return a value or a promise',
    remedy,
  );
}

/** Includes inherited methods: the decorated class gets its own protected versions of them. */
function* stateChangingMethods(prototype: object): Generator<[string, PropertyDescriptor]> {
  const seen = new Set<string>(['constructor']);
  for (let owner: object | null = prototype; owner !== null && owner !== Object.prototype;) {
    for (const name of Object.getOwnPropertyNames(owner)) {
      if (seen.has(name)) continue;
      seen.add(name);
      const descriptor = Object.getOwnPropertyDescriptor(owner, name);
      const method: unknown = descriptor?.value;
      if (changesState(method)) yield [name, { ...descriptor }];
    }
    owner = Object.getPrototypeOf(owner) as object | null;
  }
}

function isGenerator(method: Handler): boolean {
  const tag = (method as { readonly [Symbol.toStringTag]?: unknown })[Symbol.toStringTag];
  return tag === 'GeneratorFunction' || tag === 'AsyncGeneratorFunction';
}
